/** The claim controller with a real store and real provisioners, without the rest of a runtime. */
import { join } from "@std/path/posix";
import { createLayerEngine } from "../../../drivers/storage/layer/layer_engine.ts";
import type { Provisioner } from "../../../drivers/volume/port.ts";
import { LocalProvisioner } from "../../../drivers/volume/provisioner/local_provisioner.ts";
import type { KubeObject, ObjectEvent } from "../../../runtime/objects/port.ts";
import { Objects } from "../../../runtime/objects/object_store.ts";
import { Store } from "../../../runtime/store/store.ts";
import type { ClaimRoom } from "../../../runtime/volume/claims/claim_room.ts";
import { ClaimController } from "../../../runtime/volume/claims/controller.ts";
import { testOperation } from "../../support/scratch.ts";

type Json = Record<string, unknown>;
type New = Parameters<Objects["create"]>[0];

/** See the head of the file. */
export class ClaimsFixture implements AsyncDisposable {
  readonly operation = testOperation();
  readonly told: ObjectEvent[] = [];
  readonly #stack = new AsyncDisposableStack();
  readonly objects: Objects;
  readonly local: LocalProvisioner;
  readonly controller: ClaimController;
  readonly room: ClaimRoom;

  /** @param directory Holds the database and, in `persistent`, the volumes. */
  constructor(readonly directory: string, others: readonly Provisioner[] = []) {
    Deno.mkdirSync(directory, { recursive: true });
    const store = this.#stack.use(new Store(join(directory, "db")));
    this.objects = this.#stack.use(new Objects(store));
    const engine = this.#stack.use(createLayerEngine({}));
    this.local = this.#stack.use(new LocalProvisioner(this.home, engine));
    const note = this.objects.event.bind(this.objects);
    this.objects.event = (event) => {
      this.told.push(event);
      note(event);
    };
    const provisioners = new Map([this.local, ...others].map((one) => [one.name, one] as const));
    const node = { name: "here", labels: { "kubernetes.io/hostname": "here" } };
    this.room = { objects: this.objects, provisioners, node };
    this.controller = this.#stack.use(new ClaimController(this.room));
    this.controller.start();
  }

  get home(): string {
    return join(this.directory, "persistent");
  }

  create(object: Json): Promise<KubeObject> {
    return this.objects.create(object as unknown as New);
  }

  async delete(kind: string, name: string): Promise<void> {
    await this.objects.delete(key(kind, name), this.operation);
    await this.quiet();
  }

  async change(kind: string, name: string, spec: Json): Promise<void> {
    await this.objects.update(key(kind, name), (object) => ({ ...object, spec: { ...object.spec, ...spec } }));
    await this.quiet();
  }

  quiet(): Promise<void> {
    return this.controller.quiet(this.operation.signal);
  }

  get(kind: string, name: string): KubeObject | undefined {
    return this.objects.get(key(kind, name));
  }

  claim(name: string) {
    const object = this.get("PersistentVolumeClaim", name);
    const status = object?.status as
      | { phase?: string; capacity?: { storage: string }; conditions?: Json[] }
      | undefined;
    const volume = (object?.spec as { volumeName?: string } | undefined)?.volumeName;
    return { object, phase: status?.phase, storage: status?.capacity?.storage, conditions: status?.conditions, volume };
  }

  /** Where the files of a bound claim are. */
  path(claim: string): string {
    const volume = this.get("PersistentVolume", this.claim(claim).volume!);
    return (volume!.spec as { local: { path: string } }).local.path;
  }

  phase(volume: string): string | undefined {
    return (this.get("PersistentVolume", volume)?.status as { phase?: string } | undefined)?.phase;
  }

  /** Names of the directories of volumes and snapshots. */
  onDisk(): string[] {
    try {
      return [...Deno.readDirSync(this.home)].map(({ name }) => name).filter((name) => name !== ".lock").sort();
    } catch {
      return [];
    }
  }

  /** `REASON: message` of the events about an object. */
  events(name: string): string[] {
    return this.told.filter(({ about }) => about.name === name).map(({ reason, message }) => `${reason}: ${message}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function key(kind: string, name: string) {
  const namespaced = kind !== "PersistentVolume" && kind !== "StorageClass";
  return { kind, namespace: namespaced ? "default" : "", name };
}
