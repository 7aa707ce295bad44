/** How a storage driver says whether it can work here, and how it is opened. */
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import type { Mounter } from "../../runtime/host/mounter.ts";
import type { Store } from "../../runtime/store/store.ts";
import type { LayerEngine } from "./layer/engine.ts";
import type { DriverCapabilities, StorageDriver, StorageDriverName } from "./port.ts";

/** What a driver is opened with. */
export interface DriverContext {
  /** The driver's own directory: absolute, canonical, existing (0700). Nothing outside is touched. */
  readonly directory: string;
  readonly store: Store;
  readonly engine: LayerEngine;
  readonly mounter: Mounter;
  /** `--storage-opt` as given; a driver refuses (`INVALID_ARGUMENT`) what it does not know. */
  readonly options: Readonly<Record<string, string>>;
}

/** One thing that a driver lacks on this host, or lacks for a capability; all that is named together is one remedy. */
export interface DriverNeed {
  /** Kernel module to load. */
  readonly module?: string;
  /** Debian package to install. */
  readonly package?: string;
  /** Option that the kernel has to be built with, e.g. `CONFIG_OVERLAY_FS`. */
  readonly kernelOption?: string;
  /** Option that the file system of the root has to be mounted with. */
  readonly mountOption?: string;
  /** A file system of this type has to hold the root. */
  readonly fileSystem?: string;
}

/** What {@linkcode DriverFactory.probe} found. */
export interface DriverProbe {
  readonly supported: boolean;
  /** Sentences for `lamina info` and `lamina doctor`: why not, or what is worth knowing. */
  readonly reasons: readonly string[];
  readonly capabilities: DriverCapabilities;
  /** What would make it work here, or make it do more. */
  readonly needs?: readonly DriverNeed[];
}

/** One storage driver, not opened yet. */
export interface DriverFactory {
  readonly name: StorageDriverName;
  /**
   * Needs decisions that are a person's (devices, pools): `auto` takes it only where one of its options is given.
   */
  readonly onlyWithOptions?: boolean;
  /**
   * Tries the driver out, with real mounts where that is what it needs, in a fresh directory below `directory` that is
   * gone afterwards. Answers for a host that cannot; throws only for a host that is broken.
   */
  probe(
    host: Pick<DriverContext, "directory" | "options">,
    operation: Operation,
  ): Promise<DriverProbe>;
  /**
   * Opens the driver; the caller then runs `recover`.
   *
   * @throws `UNSUPPORTED` with the reasons of the probe, `INVALID_ARGUMENT` (options).
   */
  open(context: DriverContext, operation: Operation): Promise<StorageDriver>;
}

/** @throws `INVALID_ARGUMENT` for an option that is not among `known`. */
export function refuseUnknownOptions(
  driver: StorageDriverName,
  options: Readonly<Record<string, string>>,
  known: readonly string[],
): void {
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Unknown storage option "${option}": the driver ${driver} knows ${known.join(", ") || "none"}`,
    );
  }
}
