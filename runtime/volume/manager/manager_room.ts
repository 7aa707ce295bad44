/** What the manager and its steps work with. */
import type { ObjectLookup, Workload } from "../../../drivers/volume/port.ts";
import type { Operation } from "../../core/operation.ts";
import type { RootLayout } from "../../core/root_layout.ts";
import type { Mounter } from "../../host/mounter.ts";
import type { ActualJournal } from "./journal.ts";
import type { ManagerHost } from "./manager_host.ts";
import type { PluginRegistry } from "./registry.ts";

/** Something that people should hear of, about a workload. */
export interface WorkloadEvent {
  readonly workload: Pick<Workload, "kind" | "uid" | "name" | "namespace">;
  /** Its name in the workload, or, without a workload (`uid` empty), the id of what is behind it. */
  readonly volume?: string;
  readonly type: "Normal" | "Warning";
  /** As the kubelet's: `FailedMount`, `SuccessfulMountVolume`, … */
  readonly reason: string;
  readonly message: string;
}

/** Gives every file of a volume a group; see `LayerEngine.setGroup`. */
export interface GroupSetter {
  setGroup(
    request: { readonly path: string; readonly gid: number; readonly read_only: boolean; readonly onMismatch: boolean },
    operation: Operation,
  ): Promise<{ readonly changed: number }>;
}

/** See the head of the file. */
export interface ManagerRoom {
  readonly layout: RootLayout;
  readonly journal: ActualJournal;
  readonly mounter: Mounter;
  readonly host: ManagerHost;
  readonly plugins: PluginRegistry;
  readonly objects: ObjectLookup;
  readonly groups: GroupSetter;
  /** Roots of containers that bind this path, or something below it. Default: none. */
  readonly rootsThatBind?: (path: string) => string[];
  /** Never waits, never throws. */
  readonly report: (event: WorkloadEvent) => void;
}
