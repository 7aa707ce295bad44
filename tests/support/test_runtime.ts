/** A whole runtime on a root of its own, with a small real image, for tests of what containers and volumes do. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import type { Container, ContainerRequest } from "../../runtime/core/model/container.ts";
import { createRuntime, type RuntimeOptions } from "../../runtime/runtime.ts";
import type { ByteStream, LaminaRuntime } from "../../runtime/services.ts";
import { writeOciLayout } from "./oci_layout.ts";
import { type ScratchDirectory, scratchDirectory, testOperation } from "./scratch.ts";

/** Reference of the small image. */
export const SMALL_IMAGE = "small:1";

/** Those of the machine, or of another test's dockerd, are none of a test's. */
const NO_PLUGINS = { places: { sockets: [], files: [] } };

/** Files of an image's layer: path -> text; a path that ends in `/` is a directory, `-> target` as text a link. */
export type TreeText = Readonly<Record<string, string>>;

/** See the head of the file. */
export class TestRuntime implements AsyncDisposable {
  readonly operation: Operation = testOperation();

  private constructor(
    readonly scratch: ScratchDirectory,
    readonly options: RuntimeOptions,
    public runtime: LaminaRuntime,
  ) {}

  /** Opens a fresh root. */
  static async open(options: Partial<RuntimeOptions> = {}): Promise<TestRuntime> {
    const scratch = await scratchDirectory();
    const all = { root: join(scratch.path, "root"), shutdownGrace_ms: 5000, volumePlugins: NO_PLUGINS, ...options };
    return new TestRuntime(scratch, all, await createRuntime(all));
  }

  /** Opens a root at a place of the test's choice. */
  static async openAt(root: string, options: Partial<RuntimeOptions> = {}): Promise<TestRuntime> {
    const all = { root, shutdownGrace_ms: 5000, volumePlugins: NO_PLUGINS, ...options };
    return new TestRuntime(await scratchDirectory(), all, await createRuntime(all));
  }

  /** A fresh root, at a place of the test's choice or not, with the image {@linkcode SMALL_IMAGE} of two layers. */
  static async withImage(options: Partial<RuntimeOptions> = {}, root?: string): Promise<TestRuntime> {
    const test = root === undefined ? await TestRuntime.open(options) : await TestRuntime.openAt(root, options);
    await test.importImage(SMALL_IMAGE, [
      { "etc/": "", "etc/motd": "hello\n", "data/": "", "data/from-image": "image\n", "empty/": "" },
      { "etc/second": "second layer\n", "usr/share/doc/": "" },
    ]);
    return test;
  }

  get root(): string {
    return this.options.root;
  }

  /** Ends the runtime properly and opens the root again. */
  async restart(): Promise<void> {
    await this.runtime[Symbol.asyncDispose]();
    await this.reopen();
  }

  /** Opens the root after the runtime was ended by the test. */
  async reopen(): Promise<void> {
    this.runtime = await createRuntime(this.options);
  }

  /** Imports an image made of layers. */
  async importImage(
    reference: string,
    layers: readonly TreeText[],
    config: Record<string, unknown> = {},
  ): Promise<void> {
    const work = await Deno.makeTempDir({ dir: this.scratch.path, prefix: "image" });
    await writeImage(work, reference, layers, config);
    await this.runtime.images.import({ path: join(work, "layout") }, {}, this.operation);
    await Deno.remove(work, { recursive: true });
  }

  /** Makes a container of {@linkcode SMALL_IMAGE} unless told otherwise. */
  create(spec: Partial<ContainerRequest> = {}): Promise<Container> {
    return this.runtime.containers.create({ image: SMALL_IMAGE, ...spec }, this.operation);
  }

  mount(container: string): Promise<Container> {
    return this.runtime.containers.mount(container, this.operation);
  }

  unmount(container: string): Promise<void> {
    return this.runtime.containers.unmount(container, { lazy: false }, this.operation);
  }

  remove(container: string, options: { force?: boolean; volumes?: boolean } = {}) {
    return this.runtime.containers.remove(container, { force: false, volumes: false, ...options }, this.operation);
  }

  /** A fresh directory on the host, outside of the root. */
  hostDirectory(name: string): string {
    const path = join(this.scratch.path, name);
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** What `lamina check` says; with all that it could say, as one line each. */
  async check(options: { repair?: boolean; deep?: boolean } = {}): Promise<string[]> {
    const { findings } = await this.runtime.system.check({ repair: false, deep: false, ...options }, this.operation);
    return findings.map(({ kind, object, repaired }) =>
      `${kind} ${object.replace(this.root, "ROOT")}${repaired ? " repaired" : ""}`
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime[Symbol.asyncDispose]();
    await this.scratch[Symbol.asyncDispose]();
  }
}

/** Writes `DIRECTORY/layout`, an OCI layout of layers given as text. */
export async function writeImage(
  directory: string,
  reference: string,
  layers: readonly TreeText[],
  config: Record<string, unknown> = {},
): Promise<void> {
  const tars = [];
  for (const [i, layer] of layers.entries()) {
    const tree = join(directory, String(i));
    await Deno.mkdir(tree);
    await writeTree(tree, layer);
    const archive = join(directory, `${i}.tar`);
    await commandOutput("tar", ["--numeric-owner", "--owner=0", "--group=0", "-cf", archive, "-C", tree, "."]);
    tars.push({ tar: await Deno.readFile(archive), createdBy: `layer ${i}` });
  }
  await writeOciLayout(join(directory, "layout"), { reference, layers: tars, config });
}

async function writeTree(tree: string, files: TreeText): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(tree, name);
    await Deno.mkdir(name.endsWith("/") ? path : join(path, ".."), { recursive: true });
    if (name.endsWith("/")) continue;
    if (text.startsWith("-> ")) await Deno.symlink(text.slice(3), path);
    else if (text.startsWith("copy of ")) {
      await Deno.copyFile(text.slice("copy of ".length), path);
      await Deno.chmod(path, 0o755);
    } else await Deno.writeTextFile(path, text);
  }
}

/** A stream's bytes. */
export async function bytesOfStream(stream: ByteStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
