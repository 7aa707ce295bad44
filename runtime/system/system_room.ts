/** What the verbs about the daemon as a whole work with. */
import type { ContainerRoom } from "../container/container_room.ts";
import type { RootfsAssembler } from "../container/rootfs_assembler.ts";
import type { RecoveryProblem } from "../container/recover_containers.ts";
import type { FullImageService } from "../image/image_service.ts";
import type { MigrationRoom } from "../migrate/migration_room.ts";
import type { Unions } from "../union/union_service.ts";
import type { ClaimRoom } from "../volume/claims/claim_room.ts";
import type { VolumeAccess } from "../volume/volume_access.ts";
import type { VolumeRoom } from "../volume/volume_room.ts";
import type { EventLog } from "./event_log.ts";
import type { OperationGate } from "./operation_gate.ts";

/** Everything. */
export interface SystemRoom {
  readonly containers: ContainerRoom;
  readonly images: FullImageService;
  readonly assembler: RootfsAssembler;
  readonly events: EventLog;
  readonly gate: OperationGate;
  /** The storage drivers: the current one, and all of this program, the best first. */
  readonly migration: MigrationRoom;
  readonly unions: Unions;
  /** Whether the volume manager has something in a directory. */
  readonly ownsWorkload: (path: string) => boolean;
  /** Whether something in the trash is being deleted in the background. */
  readonly isRemoving: (path: string) => boolean;
  /** Volumes with what they are made with, and who has them mounted. */
  readonly volumes: VolumeRoom;
  readonly volumeAccess: VolumeAccess;
  /** Claims, and who makes volumes for them. */
  readonly claims: ClaimRoom;
  /** What the start could not bring in order. */
  readonly problems: readonly RecoveryProblem[];
  /** Milliseconds since the epoch. */
  readonly startedAt_ms: number;
}
