/** What a row of the dialect's route table is. */
import type * as z from "zod";
import type { Operation } from "../../core/operation.ts";
import type { ByteStream, LaminaRuntime } from "../../services.ts";
import type { Lane } from "../route.ts";
import type { ProgressLines } from "../streams.ts";
import type { MinorVersion } from "./api_version.ts";

/** Methods of the dialect. */
export type DockerMethod = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

/** What a handler answers. */
export type DockerAnswer =
  | {
    readonly kind: "json";
    readonly value: unknown;
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
  }
  | { readonly kind: "text"; readonly text: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "empty"; readonly status: number; readonly headers: Readonly<Record<string, string>> }
  /** The raw connection that the client asked for, with nothing to come. */
  | { readonly kind: "upgrade" }
  | { readonly kind: "tar"; readonly stream: ByteStream; readonly headers: Readonly<Record<string, string>> }
  /** Objects as they come, one a line. */
  | { readonly kind: "lines"; readonly items: AsyncIterable<unknown> }
  /** Work that tells how far it is, one object a line. */
  | {
    readonly kind: "progress";
    readonly work: (progress: Operation["progress"]) => Promise<unknown>;
    readonly lines: ProgressLines;
  };

/** JSON, 200 unless told otherwise. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): DockerAnswer {
  return { kind: "json", value, status, headers };
}

/** No body, 204 unless told otherwise. */
export function empty(status = 204, headers: Record<string, string> = {}): DockerAnswer {
  return { kind: "empty", status, headers };
}

/** A tar archive. */
export function tar(stream: ByteStream, headers: Record<string, string> = {}): DockerAnswer {
  return { kind: "tar", stream, headers };
}

type Parsed<T> = T extends z.ZodType ? z.output<T> : Record<string, never>;

/** What a handler is given. */
export interface DockerContext<Q, B> {
  readonly runtime: LaminaRuntime;
  /** From the path, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Parsed<Q>;
  readonly body: Parsed<B>;
  /** The request's body where the row takes bytes; empty when none was sent. */
  readonly input: ByteStream;
  /** What the client speaks. */
  readonly version: MinorVersion;
  /** The client asks for a raw connection instead of an answer. */
  readonly upgrades: boolean;
  /** Aborts when the client goes, the deadline passes or the daemon stops. */
  readonly operation: Operation;
}

/** A row of the table. */
export interface DockerRouteSpec<
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
> {
  /** One method, or several separated by blanks. */
  readonly methods: DockerMethod | `${DockerMethod} ${string}`;
  /** `/volumes/{name}`; `{name...}` also takes slashes, as references have them. */
  readonly path: string;
  /** Unknown parameters are ignored, as Docker does. */
  readonly query?: Q;
  /** JSON body; unknown fields are ignored, an empty body counts as `{}`. */
  readonly body?: B;
  /** The body is bytes. */
  readonly takesInput?: boolean;
  /** Default `quick`. */
  readonly lane?: Lane;
  /** Milliseconds; default by lane. */
  readonly deadline_ms?: number;
  readonly handler: (context: DockerContext<Q, B>) => DockerAnswer | Promise<DockerAnswer>;
}

/** A row whose types have done their work. */
export interface DockerRoute extends Omit<DockerRouteSpec, "query" | "body" | "handler"> {
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly lane: Lane;
  readonly handler: (context: DockerContext<unknown, unknown>) => DockerAnswer | Promise<DockerAnswer>;
}

/** Makes a row; the handler's types follow from the schemas. */
export function dockerRoute<
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(spec: DockerRouteSpec<Q, B>): DockerRoute {
  return { lane: "quick", ...spec } as DockerRoute;
}
