/** Routes of what the volume manager does: operations, volumes of workloads, metrics. */
import * as z from "zod";
import { OperationStatus, VolumeStatus } from "../../core/specs/workload.ts";
import { type Route, route } from "../route.ts";

/** See the head of the file. */
export const operationRoutes: readonly Route[] = [
  route({
    id: "operations.list",
    method: "GET",
    path: "/v1/operations",
    summary: "Steps on volumes that run, or wait for their next try, with the last error",
    response: { kind: "json", schema: z.array(OperationStatus) },
    handler: ({ runtime }) => runtime.operations.list(),
  }),
  route({
    id: "operations.volumes_in_use",
    method: "GET",
    path: "/v1/volumes-in-use",
    summary: "Every volume of every workload, and its state",
    response: { kind: "json", schema: z.array(VolumeStatus) },
    handler: ({ runtime }) => runtime.operations.volumesInUse(),
  }),
  route({
    id: "operations.metrics",
    method: "GET",
    path: "/v1/metrics",
    summary: "Metrics in the text format of Prometheus",
    response: { kind: "text", type: "text/plain; version=0.0.4; charset=utf-8" },
    handler: ({ runtime }) => runtime.operations.metrics(),
  }),
];
