/** Space for PersistentVolumes. */
import { Capacity } from "../../core/specs/capacity.ts";
import { type Route, route } from "../route.ts";

/** See the head of the file. */
export const capacityRoutes: readonly Route[] = [
  route({
    id: "claims.capacity",
    method: "GET",
    path: "/v1/capacity",
    summary: "What claims of each StorageClass can still get, and what each PersistentVolume holds",
    response: { kind: "json", schema: Capacity },
    handler: ({ runtime, operation }) => runtime.claims.capacity(operation),
  }),
];
