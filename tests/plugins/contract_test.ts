/** The manager's contract, against each plugin that this machine's kernel can serve. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { KubernetesPlugins } from "../../drivers/volume/plugins.ts";
import type { ObjectLookup, VolumeSpec } from "../../drivers/volume/port.ts";
import { RootLayout } from "../../runtime/core/root_layout.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { pluginContract, type PluginSubject } from "../manager/plugin_contract.ts";

const base64 = (text: string) => new TextEncoder().encode(text).toBase64();

/** ConfigMap and Secret of any name hold one key. */
const objects: ObjectLookup = {
  get: ({ kind, name }) =>
    kind === "ConfigMap"
      ? { kind, metadata: { name }, data: { key: "value" } }
      : kind === "Secret"
      ? { kind, metadata: { name }, data: { key: base64("value") } }
      : undefined,
};

/** What differs between the kinds. */
interface Kind {
  /** @param directory Of the test; files of the host may be made in it. */
  source(directory: string): Record<string, unknown>;
  readonly more?: Partial<VolumeSpec>;
  check?(path: string): void | Promise<void>;
}

function writable(path: string): void {
  Deno.writeTextFileSync(join(path, "written"), "");
}

function showsKey(path: string): void {
  assertEquals(Deno.readTextFileSync(join(path, "key")), "value");
}

function hostDirectory(directory: string): string {
  const path = join(directory, "host");
  Deno.mkdirSync(path, { recursive: true });
  return path;
}

function image(directory: string): string {
  const path = join(directory, "image");
  using file = Deno.openSync(path, { write: true, create: true });
  if (file.statSync().size === 0) file.truncateSync(64 << 20);
  return path;
}

const KINDS: Readonly<Record<string, Kind>> = {
  "emptyDir": { source: () => ({ emptyDir: {} }), check: writable },
  "emptyDir in memory": { source: () => ({ emptyDir: { medium: "Memory", sizeLimit: "4Mi" } }), check: writable },
  "hostPath": { source: (at) => ({ hostPath: { path: hostDirectory(at), type: "Directory" } }), check: writable },
  "hostPath of a file": {
    source: (at) => ({ hostPath: { path: join(at, "file"), type: "FileOrCreate" } }),
    check: (path) => assertEquals(Deno.readTextFileSync(path), ""),
  },
  "configMap": { source: () => ({ configMap: { name: "settings" } }), check: showsKey },
  "secret": { source: () => ({ secret: { secretName: "keys" } }), check: showsKey },
  "downwardAPI": {
    source: () => ({ downwardAPI: { items: [{ path: "uid", fieldRef: { fieldPath: "metadata.uid" } }] } }),
    check: (path) => assertEquals(Deno.readTextFileSync(join(path, "uid")).length > 0, true),
  },
  "projected": { source: () => ({ projected: { sources: [{ configMap: { name: "settings" } }] } }), check: showsKey },
  "local directory": { source: (at) => ({ local: { path: hostDirectory(at) } }), check: writable },
  "local image": { source: (at) => ({ local: { path: image(at) } }), check: writable },
  "local raw image": {
    source: (at) => ({ local: { path: image(at) } }),
    more: { volume_mode: "Block" },
    check: (path) => assertEquals(Deno.statSync(path).isBlockDevice, true),
  },
  "flexVolume": {
    source: (at) => ({ flexVolume: { driver: "acme/bind", options: { source: hostDirectory(at) } } }),
    check: writable,
  },
};

const BINDING = `#!/bin/sh
case "$1" in
  init) echo '{"status":"Success","capabilities":{"attach":false}}' ;;
  mount) mount --bind "$(echo "$3" | sed 's/.*"source":"\\([^"]*\\)".*/\\1/')" "$2" && echo '{"status":"Success"}' ;;
  unmount) umount "$2" 2>/dev/null; echo '{"status":"Success"}' ;;
  *) echo '{"status":"Not supported"}' ;;
esac
`;

for (const [name, kind] of Object.entries(KINDS)) {
  pluginContract(name, (directory): PluginSubject => {
    const layout = new RootLayout(join(directory, "root"));
    for (const path of [layout.staging, layout.trash]) Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    const flexDirectory = join(directory, "flex");
    Deno.mkdirSync(join(flexDirectory, "acme~bind"), { recursive: true });
    Deno.writeTextFileSync(join(flexDirectory, "acme~bind/bind"), BINDING, { mode: 0o755 });
    const engine = createLayerEngine();
    const plugins = new KubernetesPlugins({ mounter: new CommandMounter(), layout, engine, objects, flexDirectory });
    const plain = { read_only: false, mount_options: [], access_modes: [], volume_mode: "Filesystem" } as const;
    const spec: VolumeSpec = { name: "data", source: kind.source(directory), ...plain, ...kind.more };
    return {
      plugin: plugins.list.find((plugin) => plugin.supports(spec))!,
      spec,
      objects,
      check: kind.check,
      async [Symbol.asyncDispose]() {
        await plugins[Symbol.asyncDispose]();
        await engine[Symbol.asyncDispose]();
      },
    };
  });
}
