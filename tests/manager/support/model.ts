/** The manager on a fake machine, with the invariants looked after: the subject of the model test. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { RootLayout } from "../../../runtime/core/root_layout.ts";
import type { ActualDevice, ActualVolume } from "../../../runtime/volume/manager/actual_world.ts";
import type { ActualJournal, Journaled } from "../../../runtime/volume/manager/journal.ts";
import type { WantedVolume } from "../../../runtime/volume/manager/port.ts";
import { PluginRegistry } from "../../../runtime/volume/manager/registry.ts";
import { Manager } from "../../../runtime/volume/manager/volume_manager.ts";
import { FakeDevices, fakePlugins } from "./fake_plugins.ts";
import { FakeNode } from "./fake_node.ts";
import { pod } from "./real_manager.ts";

/** See the head of the file. */
export class Model {
  readonly node = new FakeNode();
  readonly devices = new FakeDevices();
  readonly layout = new RootLayout("/root");
  /** What is wanted, by uid; outlives the program, as the rows of pods do. */
  readonly wanted = new Map<string, readonly WantedVolume[]>();
  readonly volumeRows = new Map<string, Journaled<ActualVolume>>();
  readonly deviceRows = new Map<string, Journaled<ActualDevice>>();
  /** Chance that a commit fails. */
  journalFault: () => boolean = () => false;
  complete = false;
  manager!: Manager;
  #process = -1;

  constructor() {
    this.node.onUnmount = (target, mount) => {
      if (mount.foreign) this.#violated(`unmounts somebody else's mount at ${target}`);
      if (!this.complete) this.#violated(`unmounts ${target} before all wishes are known`);
      const [, uid, name] = /^\/root\/pods\/([^/]+)\/volumes\/[^/]+\/([^/]+)$/.exec(target) ?? [];
      const wanted = this.wanted.get(uid ?? "")?.find(({ spec }) => spec.name === name);
      const isShared = wanted?.spec.access_modes[0] === "ReadWriteOncePod" && this.#wants(volumeId(wanted)) > 1;
      if (
        !isShared && wanted !== undefined && this.pathOf(uid!, wanted) === target &&
        this.#shows(mount.root, mount.device, wanted)
      ) {
        this.#violated(`unmounts ${target}, which is wanted`);
      }
    };
    this.devices.onDown = (what) => {
      if (!this.complete) this.#violated(`${what} before all wishes are known`);
    };
    this.devices.onRelease = (id, what) => {
      const users = [...this.wanted.values()].flat().filter((volume) => volumeId(volume) === id);
      if (users.length > 0) this.#violated(`${what} of ${id}, which is wanted`);
      const shown = this.node.table.filter(({ target, device, foreign }) =>
        !foreign && target.startsWith("/root/pods/") && device === `9:/dev/${id}`
      );
      if (shown.length > 0) this.#violated(`${what} of ${id} under ${shown[0]!.target}`);
    };
    this.node.onKill = () => this.devices.calls.clear();
  }

  /** Whether the program has died since it was started. */
  get isDead(): boolean {
    return this.#process !== this.node.process;
  }

  /** Starts the program; nobody has told it anything yet. */
  start(): void {
    this.#process = this.node.process;
    this.complete = false;
    this.manager = new Manager({
      layout: this.layout,
      journal: this.#journal(),
      mounter: this.node.mounter(),
      host: this.node.host(),
      plugins: new PluginRegistry(fakePlugins(this.node, this.devices)),
      objects: { get: () => undefined },
      groups: { setGroup: () => Promise.resolve({ changed: 0 }) },
      report: () => {},
    });
    this.manager.recover();
  }

  /** The pods tell the program what they want, in that order. */
  tell(uids: readonly string[]): void {
    for (const uid of uids) this.manager.desire({ workload: pod(uid), volumes: this.wanted.get(uid)! });
    this.complete = true;
    this.manager.desiredIsComplete();
  }

  desire(uid: string, volumes: readonly WantedVolume[]): void {
    this.wanted.set(uid, volumes);
    this.manager.desire({ workload: pod(uid), volumes });
  }

  release(uid: string): void {
    this.wanted.delete(uid);
    this.manager.release(uid);
  }

  /** Where a volume is to be. */
  pathOf(uid: string, { spec }: WantedVolume): string {
    return this.layout.workloadVolume(uid, `fake/${Object.keys(spec.source)[0]}`, spec.name);
  }

  /** What can be seen at any time: nobody shares what is one pod's. */
  check(): void {
    const users = new Map<string, Set<string>>();
    for (const { target, device, root, foreign } of this.node.table) {
      const [, uid] = /^\/root\/pods\/([^/]+)\//.exec(target) ?? [];
      if (uid === undefined || foreign) continue;
      for (const volumes of this.wanted.values()) {
        for (const volume of volumes) {
          const exclusive = volume.spec.access_modes[0] === "ReadWriteOncePod";
          if (!exclusive || !this.#shows(root, device, volume)) continue;
          const id = volumeId(volume);
          users.set(id, (users.get(id) ?? new Set()).add(uid));
        }
      }
    }
    for (const [id, uids] of users) {
      if (uids.size > 1) this.#violated(`${id} is one pod's, and mounted in ${[...uids].join(", ")}`);
    }
  }

  /** What is wrong once everything has come to rest. */
  differences(): string[] {
    const found: string[] = [];
    const expected = new Set<string>();
    const taken = new Set<string>();
    for (const [uid, volumes] of this.wanted) {
      const statuses = this.manager.volumes().filter(({ workload }) => workload.uid === uid);
      for (const volume of volumes) {
        const status = statuses.find(({ volume: name }) => name === volume.spec.name);
        const isOthers = status?.last_error?.includes("ReadWriteOncePod") ?? false;
        if (isOthers) continue;
        if (status?.state !== "Mounted") {
          found.push(`${uid}/${volume.spec.name} is ${status?.state}: ${status?.last_error}`);
        }
        const path = this.pathOf(uid, volume);
        if (!("files" in volume.spec.source)) expected.add(path);
        else if (!this.node.files.has(`${path}/content`)) found.push(`${path} is empty`);
        if ("device" in volume.spec.source || "disk" in volume.spec.source) taken.add(volumeId(volume));
      }
    }
    const targets = this.node.table.map(({ target }) => target).filter((target) => target.startsWith("/root/pods/"));
    for (const path of expected) if (!targets.includes(path)) found.push(`nothing is mounted at ${path}`);
    for (const path of targets) if (!expected.has(path)) found.push(`${path} is mounted`);
    if (new Set(targets).size !== targets.length) found.push(`mounted twice: ${targets.sort().join(" ")}`);
    const devices = this.node.table.filter(({ target }) => target.startsWith("/root/plugins/"));
    if (devices.length !== taken.size) found.push(`${devices.length} devices mounted for ${[...taken].join(" ")}`);
    for (const id of this.devices.attached) if (!taken.has(id)) found.push(`${id} is still attached`);
    for (const { key, name, last_error } of this.manager.operations()) found.push(`${name} ${key}: ${last_error}`);
    for (const key of this.volumeRows.keys()) {
      const [uid, name] = key.split("/");
      if (!this.wanted.get(uid!)?.some(({ spec }) => spec.name === name)) found.push(`the row ${key} is left`);
    }
    if (this.deviceRows.size !== taken.size) found.push(`${this.deviceRows.size} rows of devices for ${taken.size}`);
    if (this.wanted.size === 0) {
      const left = [...this.node.directories, ...this.node.files].filter((path) =>
        /^\/root\/(pods|plugins)\/./.test(path)
      );
      if (left.length > 0) found.push(`left: ${left.join(" ")}`);
    }
    return found;
  }

  /** Pods that want a volume. */
  #wants(id: string): number {
    return [...this.wanted.values()].filter((volumes) => volumes.some((volume) => volumeId(volume) === id)).length;
  }

  /** Whether a mount shows that volume. */
  #shows(root: string, device: string, volume: WantedVolume): boolean {
    const { source } = volume.spec;
    return "bind" in source ? root === `/data/${source.bind}` : device === `9:/dev/${volumeId(volume)}`;
  }

  #violated(what: string): void {
    this.node.violations.push(what);
  }

  #journal(): ActualJournal {
    const process = this.node.process;
    const commit = async (body: () => void) => {
      if (this.node.isDead(process)) await this.node.never;
      if (this.journalFault()) throw new LaminaError("RESOURCE_EXHAUSTED", "injected: the disk is full");
      body();
    };
    return {
      load: () => ({
        volumes: [...this.volumeRows.values()].map(copyOf),
        devices: [...this.deviceRows.values()].map(copyOf),
      }),
      putVolume: (entry, boot) => {
        const isProved = entry.state === "Mounted" && entry.places.length > 0 && entry.places.every(({ seen }) => seen);
        const state = isProved ? "Mounted" as const : "Uncertain" as const;
        const row = copyOf({ entry: { ...entry, state, refresh: 0 }, boot });
        return commit(() => this.volumeRows.set(row.entry.key, row));
      },
      putDevice: (entry, boot) => {
        const isProved = entry.device === "GloballyMounted" && entry.places.every(({ seen }) => seen);
        const device = isProved ? entry.device : entry.device === "NotMounted" ? entry.device : "Uncertain" as const;
        const attach = entry.attach === "No" ? entry.attach : "Uncertain" as const;
        const row = copyOf({ entry: { ...entry, device, attach }, boot });
        return commit(() => this.deviceRows.set(row.entry.key, row));
      },
      forgetVolume: ({ key }) => commit(() => this.volumeRows.delete(key)),
      forgetDevice: ({ key }) => commit(() => this.deviceRows.delete(key)),
    };
  }
}

/** Id of the thing behind a volume. */
export function volumeId({ spec: { source } }: WantedVolume): string {
  const [kind, name] = Object.entries(source)[0]!;
  return kind === "device" || kind === "disk" ? `${kind}-${name}` : String(name);
}

/** As a row is: mount ids are the memory's. */
function copyOf<T extends { places: ActualVolume["places"] }>(row: Journaled<T>): Journaled<T> {
  const places = row.entry.places.map(({ target, recursive, seen }) => ({ target, recursive, seen }));
  return { boot: row.boot, entry: { ...row.entry, places: structuredClone(places) } };
}
