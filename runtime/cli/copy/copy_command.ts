/** `lamina container cp`: files into and out of a container's root. */
import { resolve } from "@std/path/posix";
import { fileError } from "../../api/file_error.ts";
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import type { PathStat } from "../../core/specs/container.ts";
import type { ByteStream } from "../../services.ts";
import { apiPath, type Client } from "../client.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { packLocal, unpackDirectory } from "../local_engine.ts";
import { UsageError } from "../parse.ts";
import { refuseTerminal, saveArchive } from "../save_archive.ts";
import { standardInput } from "../standard_input.ts";
import { type CopyOperand, parseOperand, type PathKind, planCopy } from "./plan_copy.ts";

type InContainer = Extract<CopyOperand, { kind: "container" }>;

/** See the head of the file. */
export const copyCommand = command({
  words: ["container", "cp"],
  summary: "Copy files between a container and the host, or as a tar",
  description:
    "As docker cp: a directory goes into an existing directory, or becomes the destination; DIR/. copies what " +
    "is in it. Owners, modes and times are kept. A final link is copied as a link. - is a tar on standard input or output.",
  arguments: [
    { name: "SRC", help: "CONTAINER:PATH, a local path, or -", complete: "container-path" },
    { name: "DST", help: "CONTAINER:PATH, a local path, or -", complete: "container-path" },
  ],
  examples: [
    ["container cp shop:/etc/shop.conf .", "a file out"],
    ["container cp ./site/. shop:/var/www", "the contents of a directory in"],
    ["container cp shop:/var/log - | tar -t", "a tar out"],
  ],
  async run(context) {
    const { arguments: [from, to], output } = context;
    const source = parseOperand(from!);
    const destination = parseOperand(to!);
    if (source.kind === "container" && destination.kind === "container") {
      throw new UsageError("Both sides are in containers", "copy to the host first, or pipe one cp into another");
    }
    if (source.kind === "container") await copyOut(context, source, destination);
    else if (destination.kind === "container") await copyIn(context, source, destination);
    else throw new UsageError("Neither side is in a container", "write CONTAINER:/PATH on one of them");
    if (output.asJson && destination.kind !== "stdio") output.json({});
  },
});

async function copyOut(
  context: Context<unknown>,
  source: InContainer,
  destination: CopyOperand,
): Promise<void> {
  const { signal } = context;
  const api = await context.client();
  const archive = (as?: string): Promise<ByteStream> =>
    api.bytes(apiPath`/v1/containers/${source.container}/archive`, { query: { path: source.path, as }, signal });
  if (destination.kind !== "local") {
    refuseTerminal("-");
    return await saveArchive(context, await archive(), "-");
  }
  const { kind } = await statInContainer(api, source, signal);
  const plan = planCopy({ kind, path: source.path }, {
    kind: await localKind(destination.path),
    path: destination.path,
  });
  const directory = await realDirectory(plan.directory);
  const bars = context.progress();
  try {
    // Resolved inside that directory: a link in the archive cannot lead what follows it anywhere else.
    await unpackDirectory(await archive(plan.as), directory, { signal, progress: bars.update });
  } finally {
    bars.done();
  }
}

async function copyIn(context: Context<unknown>, source: CopyOperand, destination: InContainer): Promise<void> {
  const { signal } = context;
  const api = await context.client();
  const put = async (directory: string, archive: ByteStream) => {
    const path = apiPath`/v1/containers/${destination.container}/archive`;
    await api.json("PUT", path, { query: { path: directory }, archive, signal });
  };
  if (source.kind !== "local") return await put(destination.path, standardInput("a tar"));
  const path = resolve(source.path);
  const kind = await localKind(source.path, { followFinal: false });
  const target = await destinationKind(api, destination, signal);
  const plan = planCopy({ kind, path: /(^|\/)\.$/.test(source.path) ? `${path}/.` : path }, {
    kind: target,
    path: destination.path,
  });
  const bars = context.progress();
  try {
    await using packed = await packLocal(path, plan.as, { signal, progress: bars.update });
    await put(plan.directory, packed.stream);
  } finally {
    bars.done();
  }
}

/** What is at a path of a container; a final link only counts as itself. */
async function statInContainer(
  api: Client,
  { container, path }: InContainer,
  signal: AbortSignal,
): Promise<{ kind: Exclude<PathKind, "absent"> }> {
  const stat = await api.json<PathStat>("GET", apiPath`/v1/containers/${container}/stat`, { query: { path }, signal });
  return { kind: stat.kind === "file" || stat.kind === "directory" ? stat.kind : "other" };
}

/** What a destination is: absent is fine, and a link to a directory is one. */
async function destinationKind(api: Client, operand: InContainer, signal: AbortSignal): Promise<PathKind> {
  try {
    // Asked without the final slash: with it, an absent path and a file would be the same failure.
    const path = operand.path.replace(/\/+\.?$/, "") || "/";
    const { kind } = await statInContainer(api, { ...operand, path }, signal);
    if (kind !== "other") return kind;
    return (await statInContainer(api, { ...operand, path: `${path}/.` }, signal)).kind;
  } catch (error) {
    if (isLaminaError(error, "CONFLICT")) return "other";
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    // Either the path is absent, or the container is.
    await api.json("GET", apiPath`/v1/containers/${operand.container}`, { signal });
    return "absent";
  }
}

async function localKind(path: string, options: { followFinal: boolean } = { followFinal: true }): Promise<PathKind> {
  try {
    const follow = options.followFinal || /\/\.?$/.test(path) || path === "." || path === "..";
    const info = follow ? await Deno.stat(path) : await Deno.lstat(path);
    return info.isDirectory ? "directory" : info.isFile ? "file" : "other";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "absent";
    throw fileError(error, `Cannot look at ${path}`);
  }
}

async function realDirectory(path: string): Promise<string> {
  let real: string;
  try {
    real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isDirectory) return real;
  } catch (error) {
    throw fileError(error, `Cannot copy into ${path}`);
  }
  throw new LaminaError("CONFLICT", `Cannot copy into ${path}: it is no directory`);
}
