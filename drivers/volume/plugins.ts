/** The volume plugins of Kubernetes' own kinds. */
import { EmptyDirPlugin } from "./empty_dir.ts";
import { FilesPlugin } from "./files/files_plugin.ts";
import { configMapKind, downwardKind, projectedKind, secretKind } from "./files/kinds.ts";
import { FlexPlugin } from "./flex/flex_plugin.ts";
import { HostPathPlugin } from "./host_path.ts";
import { LocalPlugin } from "./local/local_plugin.ts";
import { NetworkBlockPlugin } from "./network/block_plugin.ts";
import { cephFsKind, glusterKind, nfsKind } from "./network/file_kinds.ts";
import { IscsiKind } from "./network/iscsi/iscsi_kind.ts";
import { NetworkFilePlugin } from "./network/network_file_plugin.ts";
import { RbdKind } from "./network/rbd_kind.ts";
import type { PluginContext } from "./plugin_context.ts";
import type { VolumePlugin } from "./port.ts";
import { Trash } from "./trash.ts";

export type { PluginContext } from "./plugin_context.ts";

/** All of them; disposing it ends what they do in the background. */
export class KubernetesPlugins implements AsyncDisposable {
  readonly list: readonly VolumePlugin[];
  readonly #trash: Trash;

  constructor(context: PluginContext) {
    this.#trash = new Trash(context.layout.trash);
    this.list = [
      new EmptyDirPlugin(context, this.#trash),
      new HostPathPlugin(),
      ...[configMapKind, secretKind, downwardKind(context), projectedKind(context)]
        .map((kind) => new FilesPlugin(context, kind)),
      new LocalPlugin(context),
      new FlexPlugin(context),
      ...[nfsKind, cephFsKind, glusterKind].map((kind) => new NetworkFilePlugin(context, kind)),
      ...[new IscsiKind(context), new RbdKind(context)].map((kind) => new NetworkBlockPlugin(context, kind)),
    ];
  }

  /** Waits for the deletion of what was torn down so far. */
  settled(): Promise<void> {
    return this.#trash.settled();
  }

  /** Whether something in the trash is being deleted, so that it is no leftover. */
  isRemoving(path: string): boolean {
    return this.#trash.isRemoving(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trash[Symbol.asyncDispose]();
  }
}
