/** What a row of the route table is. Matching, validation, limits and the OpenAPI document all come from it. */
import type * as z from "zod";
import type { Operation } from "../core/operation.ts";
import type { ByteStream, LaminaRuntime } from "../services.ts";

/** Methods that the API uses. */
export type HttpMethod = "GET" | "POST" | "PUT" | "DELETE";

/**
 * How long a call may take and which queue it stands in:
 * - `quick`: most calls; a minute.
 * - `long`: moves archives or walks trees; hours. Never in the way of the quick ones.
 * - `watch`: open until the client leaves or the daemon stops.
 */
export type Lane = "quick" | "long" | "watch";

/** What a route answers with. */
export type ResponseSpec =
  | { readonly kind: "json"; readonly schema: z.ZodType; readonly status?: 200 | 201; readonly describe?: string }
  | { readonly kind: "empty" }
  | { readonly kind: "tar"; readonly describe: string }
  | { readonly kind: "ndjson"; readonly schema: z.ZodType }
  | { readonly kind: "text"; readonly type: string }
  | { readonly kind: "html" };

/** An archive, and what is to be said about it besides. */
export interface TarAnswer {
  readonly stream: ByteStream;
  /** For people; each becomes a header `lamina-warning`, percent-encoded. */
  readonly warnings: readonly string[];
}

/** What the handler of a route with that answer returns. */
export type Answer<R extends ResponseSpec> = R extends { kind: "json"; schema: infer S extends z.ZodType }
  ? Shown<z.input<S>>
  : R extends { kind: "empty" } ? void
  : R extends { kind: "tar" } ? ByteStream | TarAnswer
  : R extends { kind: "ndjson"; schema: infer S extends z.ZodType } ? AsyncIterable<z.input<S>>
  : string;

/** A list may be one that is given to several callers. */
type Shown<T> = T extends Array<infer Item> ? readonly Item[] : T;

type Parsed<T> = T extends z.ZodType ? z.output<T> : Record<string, never>;

/** What a handler is given. */
export interface RouteContext<P, Q, B> {
  readonly runtime: LaminaRuntime;
  /** From the path, percent-decoded and validated. */
  readonly params: Parsed<P>;
  readonly query: Parsed<Q>;
  readonly body: Parsed<B>;
  /** The request's body where the route takes an archive; absent when none was sent. */
  readonly archive: ByteStream | undefined;
  /** Aborts when the client goes, the deadline passes or the daemon stops. */
  readonly operation: Operation;
  /** Says something about a JSON answer for people: a header `lamina-warning`, percent-encoded. */
  readonly warn: (text: string) => void;
}

/** A row of the route table. */
export interface RouteSpec<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  R extends ResponseSpec = ResponseSpec,
> {
  /** `noun.verb`; the OpenAPI operationId. */
  readonly id: string;
  readonly method: HttpMethod;
  /** `/v1/images/{image}`; a name in braces is one segment, percent-decoded: references write `/` as `%2F`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: P;
  readonly query?: Q;
  /** JSON body; an empty one counts as `{}`. */
  readonly body?: B;
  /** What the document shows instead of `body`, where the handler checks the body in words of its own. */
  readonly bodyShape?: z.ZodType;
  /** Most bytes of a JSON body; default 1 MiB. */
  readonly bodyLimit_bytes?: number;
  /** The body is an archive instead of JSON. */
  readonly archive?: "required" | "optional";
  readonly response: R;
  /** With `Accept: application/x-ndjson` the answer is a stream of progress and then the result (`StreamLine`). */
  readonly progress?: boolean;
  /** Answers instead of this row when the query says `watch=true`. */
  readonly watch?: Route;
  /** Default `quick`. */
  readonly lane?: Lane;
  /** Milliseconds; default by lane. */
  readonly deadline_ms?: number;
  readonly handler: (context: RouteContext<P, Q, B>) => Answer<R> | Promise<Answer<R>>;
}

/** A row whose types have done their work. */
export interface Route extends Omit<RouteSpec, "params" | "query" | "body" | "handler"> {
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly lane: Lane;
  readonly handler: (context: RouteContext<unknown, unknown, unknown>) => unknown;
}

/** Makes a row of the route table; the handler's types follow from the schemas. */
export function route<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  const R extends ResponseSpec = ResponseSpec,
>(spec: RouteSpec<P, Q, B, R>): Route {
  return { lane: "quick", ...spec } as Route;
}
