/**
 * Volumes on network file systems. A file system is mounted once for all workloads that use it, in a process that a
 * deadline ends; each workload gets a bind. So a server that does not answer keeps nobody waiting but its own users.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { memoryFile } from "../../../runtime/host/fstab.ts";
import { mountIdentityIfThere } from "../../../runtime/host/mount_table.ts";
import { findProgram } from "../../../runtime/host/programs.ts";
import { bindOf } from "../device_use.ts";
import { digestOf } from "../digest.ts";
import type { PluginContext } from "../plugin_context.ts";
import type { DeviceMounter, SetUpRequest, VolumePlugin, VolumeSpec } from "../port.ts";
import type { NetworkFileKind } from "./file_kinds.ts";
import { cephKey } from "./secrets.ts";
import { unmountNetwork } from "./unmount.ts";

/** What a mount may take: servers that come back answer within it. */
const MOUNT_MS = 120_000;

/** See the head of the file. */
export class NetworkFilePlugin implements VolumePlugin {
  readonly name: string;
  readonly capabilities = {
    mountOptions: true,
    block: false,
    // Owners and modes are the server's; others use them, too.
    fsGroup: false,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
  } as const;
  readonly deviceMounter: DeviceMounter;
  readonly #context: PluginContext;
  readonly #kind: NetworkFileKind;

  constructor(context: PluginContext, kind: NetworkFileKind) {
    this.name = kind.name;
    this.#context = context;
    this.#kind = kind;
    this.deviceMounter = {
      mountDevice: ({ spec, path }, operation) => this.#mount(spec, path, operation),
      unmountDevice: ({ path, force }, operation) => unmountNetwork(path, this.#context.mounter, operation, { force }),
    };
  }

  supports(spec: VolumeSpec): boolean {
    return this.#kind.source in spec.source;
  }

  /** The same source with the same options is one mount. */
  volumeId(spec: VolumeSpec): string {
    const { source, options, secret } = this.#kind.mount(spec);
    return `${source}/${digestOf(JSON.stringify([options, secret]))}`;
  }

  setUp({ spec, deviceMountPath }: SetUpRequest): Promise<readonly Mount[]> {
    return Promise.resolve([bindOf(deviceMountPath!, spec)]);
  }

  tearDown(): Promise<void> {
    return Promise.resolve();
  }

  async #mount(spec: VolumeSpec, target: string, { signal }: Operation): Promise<void> {
    const { type, source, options, secret } = this.#kind.mount(spec);
    if (mountIdentityIfThere(target)?.isRoot) return;
    requireProgram(this.#kind.helper, `mount the ${this.#kind.source} volume ${JSON.stringify(spec.name)}`);
    // In memory, readable by root, and gone with the mount.
    using file = secret === undefined ? undefined : memoryFile(cephKey(secret.reference, spec, this.#context.objects));
    const all = file === undefined ? options : [...options, `${secret!.option}=${file.path}`];
    await this.#context.mounter.mount([{ type, source, target, options: all }], { signal, timeout_ms: MOUNT_MS });
  }
}

/** @throws `UNSUPPORTED` naming Debian's package of a program that is not installed. */
export function requireProgram(
  { program, package: name }: { readonly program: string; readonly package: string },
  attempted: string,
): void {
  if (findProgram(program) !== undefined) return;
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot ${attempted}: ${program} is not installed. Install the package ${name}`,
    {
      details: { program, package: name },
    },
  );
}
