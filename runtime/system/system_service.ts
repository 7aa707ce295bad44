/** The verbs about the daemon as a whole. */
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import type { CheckResult, DiskUsage, DoctorItem, Event, Info } from "../core/specs/system.ts";
import { VERSION } from "../core/version.ts";
import { architecture, inUserNamespace, isRoot, kernelVersion } from "../host/host_facts.ts";
import { abandonMigration, migrate } from "../migrate/migrate.ts";
import type { MigrationRequest, MigrationResult } from "../core/model/system.ts";
import { MigrationRequest as MigrationSpec } from "../core/specs/migrate.ts";
import { parseSpec } from "../core/specs/parse_spec.ts";
import { mountPointsIn } from "../host/mount_table.ts";
import type { SystemService } from "../services.ts";
import { check, type CheckOptions } from "./check.ts";
import { collectGarbage } from "./collect_garbage.ts";
import { diskUsage } from "./disk_usage.ts";
import { examineHost } from "./doctor.ts";
import type { SystemRoom } from "./system_room.ts";

/** See {@linkcode SystemService}. */
export class System implements SystemService {
  readonly #room: SystemRoom;

  constructor(room: SystemRoom) {
    this.#room = room;
  }

  /** See {@linkcode SystemService}. Reads counts and the mount table, no files. */
  info(): Info {
    const { containers: { store, layout, driver, mounter }, volumes, migration, startedAt_ms } = this.#room;
    const count = (what: string) => store.get<{ n: number }>(`SELECT count(*) AS n FROM ${what}`)!.n;
    const roots = /\/rootfs$/;
    return {
      version: VERSION,
      pid: Deno.pid,
      root: layout.root,
      storage_driver: driver.name,
      storage_status: { ...driver.status, choice: migration.current.chosen.why },
      mounter: mounter.name,
      images: count("images"),
      layers: count("layers"),
      containers: count("containers WHERE state = 'ready'"),
      mounted_containers:
        [...mountPointsIn(layout.containers)].filter((path) =>
          roots.test(path) && path.length === layout.containers.length + 72
        ).length,
      volumes: count("volumes WHERE state = 'ready'"),
      volume_drivers: volumes.drivers.names(),
      kernel: kernelVersion(),
      architecture: architecture(),
      os: Deno.build.os,
      rootless: !isRoot() || inUserNamespace(),
      started_at: new Date(startedAt_ms).toISOString(),
    };
  }

  /** See {@linkcode SystemService}. */
  diskUsage(operation: Operation): Promise<DiskUsage> {
    return diskUsage(this.#room, operation);
  }

  /** See {@linkcode SystemService}. */
  check(options: CheckOptions, operation: Operation): Promise<CheckResult> {
    return check(this.#room, options, operation);
  }

  /** See {@linkcode SystemService}. */
  collectGarbage(operation: Operation): Promise<RemovalResult> {
    return collectGarbage(this.#room, operation);
  }

  /** See {@linkcode SystemService}. Ends with the runtime. */
  events(options: { readonly since?: number }, signal: AbortSignal): AsyncIterable<Event> {
    this.#room.gate.assertOpen();
    return this.#room.events.listen(options.since, AbortSignal.any([signal, this.#room.gate.signal]));
  }

  /** See {@linkcode SystemService}. */
  migrate(request: MigrationRequest, operation: Operation): Promise<MigrationResult> {
    const parsed = parseSpec(MigrationSpec, request, "migration");
    return this.#room.gate.alone("the root is being moved to another storage driver", operation, () => {
      return migrate(this.#room.migration, parsed, operation);
    });
  }

  /** See {@linkcode SystemService}. */
  abandonMigration(operation: Operation): Promise<boolean> {
    return this.#room.gate.alone("the copies of a migration are being deleted", operation, () => {
      return abandonMigration(this.#room.migration, operation);
    });
  }

  /** See {@linkcode SystemService}. */
  doctor(operation: Operation): Promise<DoctorItem[]> {
    return examineHost(this.#room, operation);
  }
}
