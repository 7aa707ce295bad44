/** The verbs of containers: who is meant, one operation a container at a time, and what happens to it. */
import { join } from "@std/path/posix";
import type { Change } from "../../drivers/storage/layer/types.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type {
  CommitRequest,
  Container,
  ContainerChange,
  ContainerPruneRequest,
  ContainerRequest,
  ContainerSummary,
  PathStat,
  UpdateRequest,
} from "../core/model/container.ts";
import type { Image, RemovalResult } from "../core/model/image.ts";
import {
  ContainerCommit,
  ContainerCreate,
  ContainerPrune,
  ContainerRename,
  ContainerUpdate,
} from "../core/specs/container.ts";
import { parseSpec } from "../core/specs/parse_spec.ts";
import { onEnd } from "../core/streams.ts";
import type { FullImageService } from "../image/image_service.ts";
import { mountPointsIn } from "../host/mount_table.ts";
import type { ByteStream, ContainerService } from "../services.ts";
import { containerLock, type ContainerRoom } from "./container_room.ts";
import {
  type ContainerRow,
  findContainerRow,
  lookUpContainer,
  readyContainerRows,
  rwLayerKey,
  specOf,
} from "./container_rows.ts";
import { ContainerViews } from "./container_view.ts";
import { canonicalInRoot, statInRoot } from "./copy_files.ts";
import { createContainer } from "./create_container.ts";
import { createMounted } from "./create_mounted.ts";
import { mountContainer, unmountContainer } from "./mount_container.ts";
import { isPruned } from "./prune_containers.ts";
import { removeContainer } from "./remove_container.ts";
import { renameContainer } from "./rename_container.ts";
import { openRootView, type RootViewOptions } from "./root_view.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";
import { updateContainer } from "./update_container.ts";

const kinds: Readonly<Record<Change["kind"], ContainerChange["kind"]>> = { added: "A", modified: "C", deleted: "D" };

/** See the head of the file. */
export class Containers implements ContainerService {
  readonly #room: ContainerRoom;
  readonly #assembler: RootfsAssembler;
  readonly #images: FullImageService;
  readonly #views: ContainerViews;

  constructor(room: ContainerRoom, assembler: RootfsAssembler, images: FullImageService) {
    this.#room = room;
    this.#assembler = assembler;
    this.#images = images;
    this.#views = new ContainerViews(room.store, room.layout, room.driver, (id) => assembler.placesOf(id));
  }

  /** See {@linkcode ContainerService}. */
  async create(
    spec: ContainerRequest,
    operation: Operation,
    options: { readonly mount?: boolean } = {},
  ): Promise<Container> {
    const parsed = parseSpec(ContainerCreate, spec, "container");
    const id = options.mount
      ? await createMounted(this.#room, this.#assembler, parsed, operation)
      : await createContainer(this.#room, parsed, operation);
    return this.#views.of(findContainerRow(this.#room.store, id)!, options.mount ?? false);
  }

  /** See {@linkcode ContainerService}. */
  mount(container: string, operation: Operation): Promise<Container> {
    return this.#locked(container, operation, async (row) => {
      await mountContainer(this.#room, this.#assembler, row, operation);
      return this.#views.of(row, true);
    });
  }

  /** See {@linkcode ContainerService}. */
  unmount(container: string, options: { readonly lazy: boolean }, operation: Operation): Promise<void> {
    return this.#locked(container, operation, async (row) => {
      await unmountContainer(this.#room, this.#assembler, row, options, operation);
      if (!specOf(row).auto_remove) return;
      await removeContainer(this.#room, this.#assembler, row, { force: false, volumes: true }, operation);
    });
  }

  /** See {@linkcode ContainerService}. */
  list(): readonly ContainerSummary[] {
    return this.#views.list(mountPointsIn(this.#room.layout.containers));
  }

  /** See {@linkcode ContainerService}. */
  async inspect(container: string, options: { readonly size: boolean }, operation: Operation): Promise<Container> {
    const row = lookUpContainer(this.#room.store, container);
    const view = this.#views.of(row, this.#assembler.isMounted(row.id));
    if (!options.size) return view;
    const { size_bytes, inodes } = await this.#room.driver.usage(rwLayerKey(row.id), operation);
    return { ...view, size: { rw_bytes: size_bytes, rw_inodes: inodes } };
  }

  /** See {@linkcode ContainerService}. */
  update(container: string, changes: UpdateRequest, operation: Operation): Promise<Container> {
    const parsed = parseSpec(ContainerUpdate, changes, "update");
    return this.#locked(container, operation, async (row) => {
      await updateContainer(this.#room, row, parsed, operation);
      this.#views.forget(row.id);
      return this.#views.of(findContainerRow(this.#room.store, row.id)!, this.#assembler.isMounted(row.id));
    });
  }

  /** See {@linkcode ContainerService}. */
  diff(container: string, operation: Operation): Promise<ContainerChange[]> {
    return this.#locked(container, operation, async (row) => {
      const changes: ContainerChange[] = [];
      for await (const { kind, path } of this.#room.driver.changes(rwLayerKey(row.id), operation)) {
        changes.push({ kind: kinds[kind], path });
      }
      return changes;
    });
  }

  /** See {@linkcode ContainerService}. A mounted container may be committed: what is in its root at that time counts. */
  commit(container: string, options: CommitRequest, operation: Operation): Promise<Image> {
    const parsed = parseSpec(ContainerCommit, options, "commit");
    return this.#locked(container, operation, (row) => {
      const layer = this.#room.driver.diff(rwLayerKey(row.id), operation);
      const { config } = specOf(row);
      return this.#images.commit(
        { parent: row.image_id, layer, container: row.id, options: parsed, config },
        operation,
      );
    });
  }

  /** See {@linkcode ContainerService}. */
  export(container: string, operation: Operation): Promise<ByteStream> {
    return this.#stream(container, { volumes: false, writable: false }, operation, (root) => {
      return this.#room.engine.tar({ kind: "tree", root, path: "/" }, operation);
    });
  }

  /** See {@linkcode ContainerService}. */
  statPath(container: string, path: string, operation: Operation): Promise<PathStat> {
    return this.#viewing(container, { volumes: true, writable: false }, operation, (root) => {
      return Promise.resolve(statInRoot(root, path));
    });
  }

  /** See {@linkcode ContainerService}. */
  copyOut(
    container: string,
    path: string,
    operation: Operation,
    options: { readonly as?: string } = {},
  ): Promise<ByteStream> {
    return this.#stream(container, { volumes: true, writable: false }, operation, (root) => {
      const canonical = canonicalInRoot(root, path);
      const name = options.as ?? (canonical === "/" ? "." : canonical.slice(canonical.lastIndexOf("/") + 1));
      const source = { kind: "tree", root, path: canonical } as const;
      return this.#room.engine.tar(name === "." ? source : { ...source, as: name }, operation);
    });
  }

  /** See {@linkcode ContainerService}. */
  copyIn(
    container: string,
    path: string,
    archive: ByteStream,
    operation: Operation,
    options: { readonly keep_kinds?: boolean } = {},
  ): Promise<void> {
    return this.#viewing(container, { volumes: true, writable: true }, operation, async (root, row) => {
      if (specOf(row).read_only && !this.#assembler.isMounted(row.id)) {
        throw new LaminaError("CONFLICT", `Cannot copy into container "${row.name}": its root is read-only`);
      }
      const canonical = canonicalInRoot(root, join(path, "/"));
      const keepKinds = options.keep_kinds ?? false;
      await this.#room.engine.unpackInto({ stream: archive, root, path: canonical, keepKinds }, operation);
    });
  }

  /** See {@linkcode ContainerService}. */
  remove(
    container: string,
    options: { readonly force: boolean; readonly volumes: boolean },
    operation: Operation,
  ): Promise<RemovalResult> {
    return this.#locked(
      container,
      operation,
      (row) => removeContainer(this.#room, this.#assembler, row, options, operation),
    );
  }

  /** See {@linkcode ContainerService}. */
  rename(container: string, name: string, operation: Operation): Promise<Container> {
    const { name: parsed } = parseSpec(ContainerRename, { name }, "name");
    return this.#locked(container, operation, async (row) => {
      const renamed = await renameContainer(this.#room, row, parsed, operation);
      return this.#views.of(renamed, this.#assembler.isMounted(row.id));
    });
  }

  /** See {@linkcode ContainerService}. */
  async prune(options: ContainerPruneRequest, operation: Operation): Promise<RemovalResult> {
    const { volumes, until, ...labels } = parseSpec(ContainerPrune, options, "prune");
    const filter = { ...labels, ...(until === undefined ? {} : { until_ms: Date.parse(until) }) };
    const result: RemovalResult = { untagged: [], deleted: [], reclaimed_bytes: 0 };
    for (const row of readyContainerRows(this.#room.store)) {
      if (row.mount_wanted === 1 || this.#assembler.isMounted(row.id)) continue;
      if (!isPruned({ labels: specOf(row).labels, createdAt_ms: row.created_at_ms }, filter)) continue;
      try {
        const { deleted, reclaimed_bytes } = await this.remove(row.id, { force: false, volumes }, operation);
        result.deleted.push(...deleted);
        result.reclaimed_bytes += reclaimed_bytes;
      } catch (error) {
        // Mounted, or gone, meanwhile.
        if (!isLaminaError(error, "CONFLICT", "NOT_FOUND")) throw error;
      }
    }
    return result;
  }

  /** Runs `body` as the only operation on the container. */
  async #locked<T>(container: string, operation: Operation, body: (row: ContainerRow) => Promise<T>): Promise<T> {
    const { lock, row } = await this.#acquire(container, operation);
    using _lock = lock;
    return await body(row);
  }

  async #acquire(container: string, operation: Operation): Promise<{ lock: Disposable; row: ContainerRow }> {
    const { id } = lookUpContainer(this.#room.store, container);
    const lock = await this.#room.locks.acquire(containerLock(id), operation.signal);
    try {
      // It may have changed, or gone, while we waited.
      return { lock, row: lookUpContainer(this.#room.store, id) };
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  #viewing<T>(
    container: string,
    options: RootViewOptions,
    operation: Operation,
    body: (root: string, row: ContainerRow) => Promise<T>,
  ): Promise<T> {
    return this.#locked(container, operation, async (row) => {
      await using view = await openRootView(this.#room, this.#assembler, row, options, operation);
      return await body(view.path, row);
    });
  }

  /** A stream from the root. Lock and view are held until it is over. */
  async #stream(
    container: string,
    options: RootViewOptions,
    operation: Operation,
    start: (root: string) => ByteStream,
  ): Promise<ByteStream> {
    const { lock, row } = await this.#acquire(container, operation);
    const held = new AsyncDisposableStack();
    held.defer(() => lock[Symbol.dispose]());
    try {
      const view = held.use(await openRootView(this.#room, this.#assembler, row, options, operation));
      return onEnd(start(view.path), () => held.disposeAsync(), operation.signal);
    } catch (error) {
      await held.disposeAsync();
      throw error;
    }
  }
}
