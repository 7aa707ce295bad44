/** The composition root: the only file that wires everything. */
import { resolve } from "@std/path/posix";
import { LocalDriver } from "../drivers/volume/named/local/local_driver.ts";
import { NamedVolumePlugin, type VolumeLookup } from "../drivers/volume/named/named_volume_plugin.ts";
import { PluginSource } from "../drivers/volume/named/plugin/plugin_source.ts";
import { VolumeDrivers } from "../drivers/volume/named/volume_drivers.ts";
import { aufsFactory } from "../drivers/storage/aufs/aufs_driver.ts";
import { chooseDriver, type ChosenDriver } from "../drivers/storage/choose_driver.ts";
import { CurrentDriver } from "../drivers/storage/current_driver.ts";
import type { DriverFactory } from "../drivers/storage/driver_factory.ts";
import type { LayerEngine } from "../drivers/storage/layer/engine.ts";
import { createLayerEngine } from "../drivers/storage/layer/layer_engine.ts";
import type { LayerLimits } from "../drivers/storage/layer/types.ts";
import type { StorageDriver } from "../drivers/storage/port.ts";
import { btrfsFactory } from "../drivers/storage/btrfs/btrfs_driver.ts";
import { devicemapperFactory } from "../drivers/storage/devicemapper/devicemapper_driver.ts";
import { LocalProvisioner } from "../drivers/volume/provisioner/local_provisioner.ts";
import { LvmProvisioner } from "../drivers/volume/provisioner/lvm_provisioner.ts";
import type { Provisioner } from "../drivers/volume/port.ts";
import { KubernetesPlugins } from "../drivers/volume/plugins.ts";
import { vfsFactory } from "../drivers/storage/vfs/vfs_driver.ts";
import { zfsFactory } from "../drivers/storage/zfs/zfs_driver.ts";
import { overlayFactory } from "../overlay/overlay_driver.ts";
import type { ContainerRoom } from "./container/container_room.ts";
import { Containers } from "./container/container_service.ts";
import {
  type ContainerRecovery,
  recoverContainers,
  type RecoveryProblem,
  unmountAll,
} from "./container/recover_containers.ts";
import { ImageMounts } from "./container/image_mounts.ts";
import { rootsThatBind } from "./container/kept_root.ts";
import { MountSources } from "./container/mount_sources.ts";
import { RootfsAssembler } from "./container/rootfs_assembler.ts";
import { LaminaError, messageOf } from "./core/errors.ts";
import { KeyedLock } from "./core/keyed_lock.ts";
import { mountsBelow } from "./core/mountinfo.ts";
import type { ObjectService } from "./core/model/object.ts";
import { backgroundOperation, type Operation } from "./core/operation.ts";
import { RootLayout } from "./core/root_layout.ts";
import { CommandMounter } from "./host/command_mounter.ts";
import { fileSystemStatus } from "./host/disk.ts";
import { makeDirectoryDurably } from "./host/durable.ts";
import { hostError } from "./host/errno_errors.ts";
import { architecture } from "./host/host_facts.ts";
import { LibcMounter } from "./host/libc_mounter.ts";
import { readMountTable } from "./host/mount_table.ts";
import type { Mounter } from "./host/mounter.ts";
import { acquireRootLock } from "./host/root_lock.ts";
import type { ImportLimits } from "./image/image_room.ts";
import { createImageService, type FullImageService } from "./image/image_service.ts";
import { finishMigration } from "./migrate/migrate.ts";
import type { MigrationRoom } from "./migrate/migration_room.ts";
import type { ClaimService, LaminaRuntime, UnionService, VolumeService } from "./services.ts";
import { ObjectVerbs } from "./objects/object_service.ts";
import { Objects } from "./objects/object_store.ts";
import { PodController } from "./pod/pod_controller.ts";
import { openIntents } from "./store/journal.ts";
import { RESERVE_BYTES, SpaceReserve } from "./store/space_reserve.ts";
import { Store } from "./store/store.ts";
import { emptyDirectory } from "./system/collect_garbage.ts";
import { EventLog } from "./system/event_log.ts";
import { OperationGate, throughGate } from "./system/operation_gate.ts";
import { System } from "./system/system_service.ts";
import { Unions } from "./union/union_service.ts";
import { Claims } from "./volume/claims/capacity.ts";
import type { ClaimRoom } from "./volume/claims/claim_room.ts";
import { ClaimController } from "./volume/claims/controller.ts";
import type { NodeView } from "./volume/claims/selectors.ts";
import { openManager } from "./volume/manager/open_manager.ts";
import { operationService } from "./volume/manager/operation_service.ts";
import { reportTo } from "./volume/manager/report_events.ts";
import type { Manager } from "./volume/manager/volume_manager.ts";
import { VolumeAccess, volumeLookup } from "./volume/volume_access.ts";
import { rememberClients } from "./volume/volume_clients.ts";
import { VolumeLifecycle } from "./volume/volume_lifecycle.ts";
import type { VolumeRoom } from "./volume/volume_room.ts";
import { Volumes } from "./volume/volumes.ts";

/** How a runtime is made. */
export interface RuntimeOptions {
  /** Directory of everything; made (0711) where it is missing. One process at a time has it open. */
  readonly root: string;
  /** `overlay`, `vfs`, … or `auto` (default): the one that holds the root's data, else the first that works here. */
  readonly storageDriver?: string;
  /** `DRIVER.OPTION`: value, e.g. `{ "overlay.metacopy": "off" }`. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /** `command` (default): mount(8) and umount(8). `libc`: the same by system calls, without a process. */
  readonly mounter?: "command" | "libc";
  /** What an archive may make of the disk; the rest of each is its default. */
  readonly limits?: {
    /** Of one layer. */
    readonly layer?: Partial<LayerLimits>;
    /** Of one import. */
    readonly import?: Partial<ImportLimits>;
  };
  /** Where Docker volume plugins are looked for, and how long is waited for one; default as Docker. */
  readonly volumePlugins?: {
    /** Directories of sockets (`NAME.sock`) and of files with an address (`NAME.spec`, `NAME.json`). */
    readonly places?: { readonly sockets: readonly string[]; readonly files: readonly string[] };
    /** Milliseconds: before each further try to reach one that is not up; for `Create` and `Mount`; for other calls. */
    readonly patience?: {
      readonly delays_ms: readonly number[];
      readonly slowCall_ms: number;
      readonly call_ms: number;
    };
    /** Socket on which this very program is a plugin. */
    readonly ownSocket?: string;
  };
  /** Milliseconds that running operations get before a shutdown aborts them; default 10,000. */
  readonly shutdownGrace_ms?: number;
}

const DEFAULT_GRACE_MS = 10_000;
/** What an aborted operation may take to roll back; the next start does what is left. */
const ROLLBACK_MS = 30_000;
/** The best first. What FUSE stacks comes after copies: it goes with its program. */
const factories: readonly DriverFactory[] = [
  overlayFactory,
  btrfsFactory,
  zfsFactory,
  devicemapperFactory,
  vfsFactory,
  aufsFactory,
];

/**
 * Opens a root: takes its lock, finishes or undoes what a crash has interrupted, mounts what should be mounted.
 *
 * Disposing the runtime waits for what runs, then releases the root. Mounted containers stay mounted: they belong to
 * whoever uses them, and the next start finds them again.
 *
 * @throws `UNAVAILABLE` (another process has the root, the disk is read-only), `UNSUPPORTED` (no storage driver works
 * here, newer schema), `INVALID_ARGUMENT` (options), `PERMISSION_DENIED`, `DATA_LOSS` (database damaged).
 *
 * @example
 * ```ts ignore
 * await using lamina = await createRuntime({ root: "/var/lib/lamina" });
 * console.log(lamina.system.info().storage_driver);
 * ```
 */
export async function createRuntime(
  options: RuntimeOptions,
  operation: Operation = backgroundOperation(),
): Promise<LaminaRuntime> {
  const startedAt_ms = Date.now();
  await using opened = new AsyncDisposableStack();
  const layout = await openRoot(options.root);
  opened.use(acquireRootLock(layout.lockFile));
  await makeDirectories(layout);
  const store = opened.use(new Store(layout.database));
  // On a full disk a start needs a little space, too (the drivers try the file system out): deleting begins with it.
  const reserve = new SpaceReserve(layout.reserve);
  if (fileSystemStatus(layout.root).available_bytes < RESERVE_BYTES) reserve.release();
  const events = new EventLog(startedAt_ms);
  const objects = opened.use(
    new Objects(store, (message) => {
      events.emit({ kind: "system", action: "listener_failed", id: "objects", attributes: { message } });
    }),
  );
  const locks = new KeyedLock();
  const engine: LayerEngine = opened.use(createLayerEngine({ limits: options.limits?.layer }));
  const mounter = createMounter(options.mounter ?? "command");
  const chosen = await chooseDriver({
    factories,
    configured: options.storageDriver,
    options: options.storageOptions ?? {},
    directoryOf: (name) => layout.driver(name),
    store,
    engine,
    mounter,
  }, operation);
  const current = new CurrentDriver(chosen);
  const driver = opened.use(current.driver);
  const local = new LocalDriver({ layout, engine, mounter });
  const drivers = new VolumeDrivers([local], [
    opened.use(new PluginSource(layout.volumePlugins, options.volumePlugins)),
  ]);
  const volumeRoom: VolumeRoom = { store, layout, engine, locks, events, local, drivers };
  const volumes = new VolumeLifecycle(volumeRoom);
  const named = volumeLookup(store, drivers);
  const { manager, kube } = openVolumes(opened, { store, layout, mounter, engine, objects, events, named });
  const access = new VolumeAccess(store, named, manager);
  const images = createImageService({ store, driver, engine, layout, events, locks, limits: options.limits?.import });
  const sources = new MountSources(layout, access, new ImageMounts({ driver, mounter, layout, store }));
  const volumeParts = { volumes, access, sources, kept: manager };
  const room: ContainerRoom = { store, layout, driver, mounter, engine, locks, events, ...volumeParts };
  const assembler = new RootfsAssembler(room);
  const storageOptions = options.storageOptions ?? {};
  const migration: MigrationRoom = { containers: room, current, factories, storageOptions };
  const unions = new Unions({ store, layout, mounter, locks, events });
  await volumes.open();
  const recovery = await recover(room, { driver, images, assembler, migration, unions }, operation);
  await rememberClients(volumeRoom, access, operation);
  await access.settle(operation);
  const claims = openClaims(opened, { objects, layout, engine });
  const gate = new OperationGate();
  const ownsWorkload = (path: string) => manager.owns(path);
  const rooms = { containers: room, volumes: volumeRoom, volumeAccess: access, claims: claims.room };
  const system = {
    ...rooms,
    images,
    assembler,
    events,
    gate,
    migration,
    unions,
    ownsWorkload,
    isRemoving: (path: string) => kube.isRemoving(path),
    startedAt_ms,
    ...recovery,
  };
  opened.defer(() => gate.close(options.shutdownGrace_ms ?? DEFAULT_GRACE_MS, ROLLBACK_MS));
  const containers = throughGate(gate, new Containers(room, assembler, images));
  const pods = opened.use(new PodController({ objects, manager, containers, images, node: thisNode() }));
  const problems = [...recovery.problems, ...await pods.start(events, operation)];
  manager.desiredIsComplete();
  reserve.restore();
  announceStart(events, chosen, { ...recovery, problems });
  const parts = opened.move();
  return {
    images: throughGate(gate, images),
    containers,
    volumes: throughGate(gate, new Volumes(volumeRoom, volumes, access) as VolumeService),
    unions: throughGate(gate, unions as UnionService),
    claims: throughGate(gate, claims as ClaimService),
    objects: throughGate(gate, new ObjectVerbs(objects) as ObjectService),
    operations: throughGate(gate, operationService(manager)),
    system: throughGate(gate, new System(system)),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** What mounts the volumes of pods and containers, and keeps containers mounted. Takes over what the last process left. */
function openVolumes(
  opened: AsyncDisposableStack,
  parts: Omit<Parameters<typeof openManager>[0], "plugins" | "objects" | "report" | "engine"> & {
    readonly objects: Objects;
    readonly engine: LayerEngine;
    readonly events: EventLog;
    readonly named: VolumeLookup;
  },
): { readonly manager: Manager; readonly kube: KubernetesPlugins } {
  const kube = opened.use(new KubernetesPlugins(parts));
  const manager = opened.use(openManager({
    ...parts,
    plugins: [...kube.list, new NamedVolumePlugin(parts.named)],
    report: reportTo(parts.objects, parts.events),
    rootsThatBind: (path) => rootsThatBind(parts, path),
  }));
  return { manager, kube };
}

/** Begins to bring claims and PersistentVolumes to what was applied. */
function openClaims(
  opened: AsyncDisposableStack,
  parts: { readonly objects: Objects; readonly layout: RootLayout; readonly engine: LayerEngine },
): Claims {
  const local = opened.use(new LocalProvisioner(parts.layout.persistent, parts.engine));
  const provisioners: Provisioner[] = [local, new LvmProvisioner()];
  const room: ClaimRoom = {
    objects: parts.objects,
    provisioners: new Map(provisioners.map((provisioner) => [provisioner.name, provisioner])),
    node: thisNode(),
  };
  opened.use(new ClaimController(room)).start();
  return new Claims(room);
}

/** This machine, as PersistentVolumes choose it. */
function thisNode(): NodeView {
  const name = Deno.hostname();
  return {
    name,
    labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture() },
  };
}

/** Makes the root where it is missing, and finds its real path: the mount table knows no other. */
async function openRoot(path: string): Promise<RootLayout> {
  if (path === "" || path.includes("\0")) {
    throw new LaminaError("INVALID_ARGUMENT", "Cannot open the root: its path is empty or holds a NUL character");
  }
  const absolute = resolve(path);
  await makeDirectoryDurably(absolute, 0o711);
  try {
    return new RootLayout(await Deno.realPath(absolute));
  } catch (error) {
    throw hostError(error, `Cannot open the root ${absolute}`);
  }
}

async function makeDirectories(layout: RootLayout): Promise<void> {
  // The way to a container's root is passed by its processes, whoever they run as.
  await makeDirectoryDurably(layout.containers, 0o711);
  await makeDirectoryDurably(layout.unions, 0o711);
  for (const path of [layout.recipes, layout.volumes, layout.staging, layout.trash]) {
    await makeDirectoryDurably(path, 0o700);
  }
}

function createMounter(name: string): Mounter {
  if (name === "command") return new CommandMounter();
  if (name === "libc") return new LibcMounter();
  throw new LaminaError("INVALID_ARGUMENT", `Unknown mounter ${JSON.stringify(name)}: there are command and libc`);
}

/** In this order: each room finds what is below it in order already. */
async function recover(
  room: ContainerRoom,
  parts: {
    readonly driver: StorageDriver;
    readonly images: FullImageService;
    readonly assembler: RootfsAssembler;
    readonly migration: MigrationRoom;
    readonly unions: Unions;
  },
  operation: Operation,
): Promise<ContainerRecovery> {
  const intents = openIntents(room.store);
  await parts.driver.recover(operation);
  // What an operation had in the making belongs to a process that is gone: we hold the lock that it held.
  await unmountAll(room, mountsBelow(readMountTable(), room.layout.staging), operation);
  await emptyDirectory({ containers: room }, room.layout.staging, operation);
  await emptyDirectory({ containers: room }, room.layout.trash, operation);
  for (const intent of intents) {
    if (intent.kind.startsWith("image.") || intent.kind === "container.commit") {
      await parts.images.recover(intent, operation);
    }
  }
  await room.volumes.recover(intents, operation);
  // Before the containers, which may bind what a union shows.
  const unionProblems = await parts.unions.recover(operation);
  const recovery = await recoverContainers(room, parts.assembler, intents, operation);
  return {
    ...recovery,
    problems: [...unionProblems, ...recovery.problems, ...await recoverMigration(parts.migration, operation)],
  };
}

/** What has moved is complete; only deletions are left. A start does not fail for them. */
async function recoverMigration(room: MigrationRoom, operation: Operation): Promise<RecoveryProblem[]> {
  try {
    await finishMigration(room, operation);
    return [];
  } catch (error) {
    operation.signal.throwIfAborted();
    return [{ object: "the last migration", message: messageOf(error) }];
  }
}

function announceStart(events: EventLog, chosen: ChosenDriver, recovery: ContainerRecovery): void {
  for (const { object, message } of recovery.problems) {
    events.emit({ kind: "system", action: "recovery_failed", id: object, attributes: { message } });
  }
  events.emit({
    kind: "system",
    action: "ready",
    id: "lamina",
    attributes: {
      storage_driver: chosen.driver.name,
      mounted: String(recovery.mounted),
      adopted: String(recovery.adopted),
    },
  });
}
