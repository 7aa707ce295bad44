/** Plugins of every shape on a {@linkcode FakeNode}: they watch that the manager keeps its promises to them. */
import type { VolumePlugin, VolumeSpec } from "../../../drivers/volume/port.ts";
import type { FakeNode } from "./fake_node.ts";

/** What the plugins have made, besides mounts; it outlives the program. */
export class FakeDevices {
  /** Volumes whose device is at the node. */
  readonly attached = new Set<string>();
  /** Calls that run, by what only one may be at a time for. */
  readonly calls = new Map<string, string>();
  /** Ids of volumes by the path where they were set up last. */
  readonly ids = new Map<string, string>();
  /** Called before a device is unmounted or detached. */
  onRelease: (volumeId: string, what: string) => void = () => {};
  /** Called before anything is taken down. */
  onDown: (what: string) => void = () => {};
}

const capabilities = {
  mountOptions: false,
  block: false,
  fsGroup: true,
  accessModes: ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"],
} as const;

/** `{ bind }` by a mount, `{ files }` without, `{ device }` mounted, `{ disk }` attached and mounted. */
export function fakePlugins(node: FakeNode, devices: FakeDevices): VolumePlugin[] {
  const process = node.process;
  const exclusively = async <T>(key: string, what: string, body: () => Promise<T>): Promise<T> => {
    if (node.isDead(process)) await node.never;
    const other = devices.calls.get(key);
    if (other !== undefined) node.violations.push(`${what} of ${key} while ${other} runs`);
    devices.calls.set(key, what);
    try {
      return await body();
    } finally {
      if (process === node.process) devices.calls.delete(key);
    }
  };
  const down = (what: string, path: string) => {
    devices.onDown(what);
    if (node.top(path) !== undefined) node.violations.push(`${what} with ${path} still mounted`);
  };
  const own = (kind: "bind" | "files"): VolumePlugin => ({
    name: `fake/${kind}`,
    capabilities,
    supports: ({ source }) => kind in source,
    volumeId: ({ source }) => String(source[kind]),
    references: kind === "files"
      ? ({ source }) => [{ kind: "ConfigMap", namespace: "", name: String(source.files) }]
      : undefined,
    setUp: ({ spec, path }, { signal }) =>
      exclusively(path, "setUp", async () => {
        await node.act(`setUp ${path}`, process, signal, () => {
          if (kind === "files") node.files.add(`${path}/content`);
        });
        const mount = { type: "bind", source: `/data/${spec.source.bind}`, target: "", options: ["bind"] };
        return kind === "bind" ? [mount] : undefined;
      }),
    tearDown: ({ path }, { signal }) =>
      exclusively(path, "tearDown", async () => {
        down("tearDown", path);
        await node.act(`tearDown ${path}`, process, signal, () => node.files.delete(`${path}/content`));
      }),
  });
  const shared = (kind: "device" | "disk"): VolumePlugin => {
    const idOf = ({ source }: VolumeSpec) => `${kind}-${source[kind]}`;
    return {
      name: `fake/${kind}`,
      capabilities,
      supports: ({ source }) => kind in source,
      volumeId: idOf,
      attacher: kind === "device" ? undefined : {
        attach: (spec, { signal }) =>
          exclusively(idOf(spec), "attach", async () => {
            await node.act(`attach ${idOf(spec)}`, process, signal, () => devices.attached.add(idOf(spec)));
            return `/dev/${idOf(spec)}`;
          }),
        detach: (id, _path, { signal }) =>
          exclusively(id, "detach", async () => {
            devices.onDown("detach");
            devices.onRelease(id, "detach");
            await node.act(`detach ${id}`, process, signal, () => devices.attached.delete(id));
          }),
      },
      deviceMounter: {
        mountDevice: ({ spec, path, devicePath }, { signal }) =>
          exclusively(idOf(spec), "mountDevice", async () => {
            if (kind === "disk" && devicePath !== `/dev/${idOf(spec)}`) {
              node.violations.push(`device path ${devicePath}`);
            }
            await node.act(`mountDevice ${idOf(spec)}`, process, signal, () => {
              if (node.top(path) === undefined) {
                node.mountNow({ type: "xfs", source: `/dev/${idOf(spec)}`, target: path });
              }
            });
          }),
        unmountDevice: ({ volumeId, path }, { signal }) =>
          exclusively(volumeId, "unmountDevice", async () => {
            devices.onDown("unmountDevice");
            devices.onRelease(volumeId, "unmountDevice");
            await node.act(`unmountDevice ${volumeId}`, process, signal, () => {
              const top = node.top(path);
              if (top !== undefined) node.onUnmount(path, top);
              node.unmountNow(path);
            });
          }),
      },
      setUp: ({ spec, path, deviceMountPath }, { signal }) =>
        exclusively(idOf(spec), "setUp", async () => {
          const isLost = node.takenAway.has(deviceMountPath!);
          if (node.top(deviceMountPath!) === undefined && !isLost) {
            node.violations.push(`setUp of ${path} without its device`);
          }
          devices.ids.set(path, idOf(spec));
          await node.act(`setUp ${path}`, process, signal, () => {});
          return [{ type: "bind", source: deviceMountPath!, target: "", options: ["bind"] }];
        }),
      tearDown: ({ path }, { signal }) =>
        exclusively(devices.ids.get(path) ?? path, "tearDown", async () => {
          down("tearDown", path);
          await node.act(`tearDown ${path}`, process, signal, () => devices.ids.delete(path));
        }),
    };
  };
  return [own("bind"), own("files"), shared("device"), shared("disk")];
}
