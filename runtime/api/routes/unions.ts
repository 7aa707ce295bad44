/** Routes of branch unions. */
import * as z from "zod";
import { Union, UnionCreate } from "../../core/specs/union.ts";
import { type Route, route } from "../route.ts";
import { queryFlag } from "./schemas.ts";

/** See the head of the file. */
export const unionRoutes: readonly Route[] = [
  route({
    id: "unions.mount",
    method: "POST",
    path: "/v1/unions",
    summary: "Show several directories as one; the same again is success",
    body: UnionCreate,
    response: { kind: "json", schema: Union, status: 201 },
    handler: ({ runtime, body, operation }) => runtime.unions.mount(body, operation),
  }),
  route({
    id: "unions.list",
    method: "GET",
    path: "/v1/unions",
    summary: "List unions",
    response: { kind: "json", schema: z.array(Union) },
    handler: ({ runtime }) => runtime.unions.list(),
  }),
  route({
    id: "unions.unmount",
    method: "DELETE",
    path: "/v1/unions/{union}",
    summary: "Take a union away; its branches stay as they are",
    params: z.strictObject({ union: z.string().min(1).max(4096).describe("Id, or target (write / as %2F)") }),
    query: z.strictObject({ lazy: queryFlag("Detach it also while it is in use") }),
    response: { kind: "empty" },
    handler: ({ runtime, params, query, operation }) => runtime.unions.unmount(params.union, query, operation),
  }),
];
