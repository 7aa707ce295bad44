/** `lamina check`: the database, the disk and the mount table compared with each other, and made to agree on request. */
import { join } from "@std/path/posix";
import { mountsBelow } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import type { CheckResult } from "../core/specs/system.ts";
import { unmountAll } from "../container/recover_containers.ts";
import { readMountTable } from "../host/mount_table.ts";
import { abandonMigration, finishMigration } from "../migrate/migrate.ts";
import { type Intent, openIntents } from "../store/journal.ts";
import { volumeLock } from "../volume/volume_lifecycle.ts";
import { checkClaims } from "./check_claims.ts";
import { checkContainers } from "./check_containers.ts";
import { checkLayers } from "./check_layers.ts";
import { checkUnions } from "./check_unions.ts";
import { checkVolumes } from "./check_volumes.ts";
import { checkWorkloads } from "./check_workloads.ts";
import { type CurableFinding, type ReportedFinding, reportFindings } from "./finding.ts";
import type { SystemRoom } from "./system_room.ts";
import { isThere } from "../host/is_there.ts";

/** How a check is done. */
export interface CheckOptions {
  readonly repair: boolean;
  /** Hash every layer anew. */
  readonly deep: boolean;
}

/**
 * All findings. Other operations may go on: what they hold is left out, and what only makes sense at rest (staging,
 * open intents) is looked at only when the check is alone.
 */
export async function check(room: SystemRoom, options: CheckOptions, operation: Operation): Promise<CheckResult> {
  const findings: CurableFinding[] = [
    ...unfinished(room, operation),
    ...await checkContainers(room, operation),
    ...await checkVolumes(room, operation),
    ...await checkUnions(room.unions, operation),
    ...await checkWorkloads({ ...room.containers, owns: room.ownsWorkload }, operation),
    ...await checkClaims(room.claims, operation),
    ...await checkLayers(room, options, operation),
    ...await leftovers(room, operation),
  ];
  const reported = await reportFindings(findings, options, operation);
  reported.push(...await checkDriver(room, options, operation));
  return { findings: reported, checked: counts(room) };
}

/** The driver repairs by itself; what it still finds afterwards resisted. */
async function checkDriver(room: SystemRoom, options: CheckOptions, operation: Operation): Promise<ReportedFinding[]> {
  const { driver } = room.containers;
  const found = await driver.check({ repair: options.repair }, operation);
  const left = options.repair && found.length > 0 ? await driver.check({ repair: false }, operation) : found;
  return found.map((finding) => ({
    ...finding,
    repaired: options.repair && finding.repairable &&
      !left.some(({ kind, object }) => kind === finding.kind && object === finding.object),
  }));
}

function unfinished(room: SystemRoom, operation: Operation): CurableFinding[] {
  if (room.gate.running > 1) return [];
  return openIntents(room.containers.store).map((intent) =>
    intent.kind === "migrate" ? unfinishedMigration(room, intent, operation) : ({
      kind: "unfinished-operation",
      object: `${intent.kind} ${intent.object}`,
      message: "It was begun and neither finished nor undone",
      // The others are finished by the next start, which has nobody to wait for.
      repair: intent.kind.startsWith("volume.")
        ? async () => {
          using _lock = await room.containers.locks.acquire(volumeLock(intent.object), operation.signal);
          await room.containers.volumes.recover([intent], operation);
        }
        : undefined,
    })
  );
}

function unfinishedMigration(room: SystemRoom, { object, data }: Intent, operation: Operation): CurableFinding {
  const copying = data.phase === "copy";
  return {
    kind: "unfinished-migration",
    object,
    message: copying
      ? `It was interrupted. "lamina migrate --to ${data.to}" goes on; repair gives it up and deletes the copies`
      : `All has moved, but the old data of ${data.from} is not all deleted. The next start, or repair, deletes it`,
    repair: () => copying ? abandonMigration(room.migration, operation) : finishMigration(room.migration, operation),
  };
}

/** Staging and trash are empty when nothing runs. */
async function leftovers(room: SystemRoom, operation: Operation): Promise<CurableFinding[]> {
  if (room.gate.running > 1) return [];
  const { layout, engine } = room.containers;
  const findings: CurableFinding[] = [];
  for (const directory of [layout.staging, layout.trash]) {
    for await (const { name } of Deno.readDir(directory)) {
      const path = join(directory, name);
      // In this order: what is deleted meanwhile is not there then.
      if (room.isRemoving(path) || !await isThere(path)) continue;
      findings.push({
        kind: "leftover",
        object: path,
        message: "An operation left this behind",
        repair: async () => {
          await unmountAll(room.containers, mountsBelow(readMountTable(), path), operation);
          await engine.removeTree(path, operation);
        },
      });
    }
  }
  return findings;
}

function counts({ containers: { store, layout } }: SystemRoom): Record<string, number> {
  const count = (table: string) => store.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n;
  return {
    layers: count("layers"),
    images: count("images"),
    snapshots: count("snapshots"),
    containers: count("containers"),
    volumes: count("volumes"),
    unions: count("unions"),
    mounts: mountsBelow(readMountTable(), layout.root).length,
  };
}
