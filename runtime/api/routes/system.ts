/** Routes of the daemon and its root. */
import * as z from "zod";
import { RemovalResult } from "../../core/specs/image.ts";
import { CheckResult, DiskUsage, DoctorItem, Event, Info } from "../../core/specs/system.ts";
import { MigrationRequest, MigrationResult } from "../../core/specs/migrate.ts";
import { VERSION } from "../version.ts";
import { type Route, route } from "../route.ts";

/** `GET /v1/version`. */
export const Version = z.object({
  version: z.string(),
  api: z.literal("v1"),
  deno: z.string(),
  architecture: z.string(),
}).meta({ id: "Version" });

/** Body of a check. */
export const CheckRequest = z.strictObject({
  repair: z.boolean().default(false).describe("Make database, directories and mount table agree"),
  deep: z.boolean().default(false).describe("Also read every layer and compare its digest"),
}).meta({ id: "CheckRequest" });

/** See the head of the file. */
export const systemRoutes: readonly Route[] = [
  route({
    id: "system.info",
    method: "GET",
    path: "/v1/info",
    summary: "The daemon, its root and its storage driver",
    response: { kind: "json", schema: Info },
    handler: ({ runtime }) => runtime.system.info(),
  }),
  route({
    id: "system.version",
    method: "GET",
    path: "/v1/version",
    summary: "Versions",
    response: { kind: "json", schema: Version },
    handler: () => ({
      version: VERSION,
      api: "v1" as const,
      deno: Deno.version.deno,
      architecture: Deno.build.arch,
    }),
  }),
  route({
    id: "system.health",
    method: "GET",
    path: "/healthz",
    summary: "Whether the daemon answers",
    response: { kind: "json", schema: z.object({ status: z.literal("ok") }) },
    handler: () => ({ status: "ok" as const }),
  }),
  route({
    id: "system.events",
    method: "GET",
    path: "/v1/events",
    summary: "What happened, and what happens, one JSON object a line",
    query: z.strictObject({
      since: z.string().regex(/^\d{1,15}$/, "must be a sequence number").transform(Number).optional().describe(
        "Also send the events after this sequence number",
      ),
    }),
    response: { kind: "ndjson", schema: Event },
    lane: "watch",
    handler: ({ runtime, query, operation }) => runtime.system.events(query, operation.signal),
  }),
  route({
    id: "system.disk_usage",
    method: "GET",
    path: "/v1/df",
    summary: "Who uses the disk",
    response: { kind: "json", schema: DiskUsage },
    lane: "long",
    handler: ({ runtime, operation }) => runtime.system.diskUsage(operation),
  }),
  route({
    id: "system.check",
    method: "POST",
    path: "/v1/check",
    summary: "Compare database, directories and mount table",
    body: CheckRequest,
    response: { kind: "json", schema: CheckResult },
    progress: true,
    lane: "long",
    deadline_ms: 6 * 3600_000,
    handler: ({ runtime, body, operation }) => runtime.system.check(body, operation),
  }),
  route({
    id: "system.collect_garbage",
    method: "POST",
    path: "/v1/gc",
    summary: "Free what removed objects left behind",
    response: { kind: "json", schema: RemovalResult },
    progress: true,
    lane: "long",
    handler: ({ runtime, operation }) => runtime.system.collectGarbage(operation),
  }),
  route({
    id: "system.migrate",
    method: "POST",
    path: "/v1/migrate",
    summary: "Move everything to another storage driver",
    description:
      "Goes on with an attempt that was interrupted. No container may be mounted; nothing else runs meanwhile.",
    body: MigrationRequest,
    response: { kind: "json", schema: MigrationResult },
    progress: true,
    lane: "long",
    deadline_ms: 24 * 3600_000,
    handler: ({ runtime, body, operation }) => runtime.system.migrate(body, operation),
  }),
  route({
    id: "system.abandon_migration",
    method: "DELETE",
    path: "/v1/migrate",
    summary: "Give up an interrupted migration and delete its copies",
    response: { kind: "json", schema: z.object({ abandoned: z.boolean() }) },
    lane: "long",
    deadline_ms: 3600_000,
    handler: async ({ runtime, operation }) => ({ abandoned: await runtime.system.abandonMigration(operation) }),
  }),
  route({
    id: "system.doctor",
    method: "GET",
    path: "/v1/doctor",
    summary: "What this host offers and lacks",
    response: { kind: "json", schema: z.array(DoctorItem) },
    handler: ({ runtime, operation }) => runtime.system.doctor(operation),
  }),
];
