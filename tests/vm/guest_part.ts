/** The part of the suite that boots guests, run beside the host's part. */
import { join } from "@std/path/posix";
import { messageOf } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { cacheDirectory } from "../support/cache_directory.ts";
import { say } from "../support/say.ts";
import { type ModuleResult, runTestModule } from "../support/test_process.ts";
import { ensureGuestImage, type GuestImage, whyNoGuest } from "./guest_image.ts";
import { isThere } from "../../runtime/host/is_there.ts";
import { guestSuites, isGuestTest } from "./guest_suites.ts";
import { makeGuestTree } from "./guest_tree.ts";
import { zfsArchive } from "./prune_cache.ts";
import { INSIDE, runGuestSuite } from "./run_suite.ts";
import { ensureZfsModules } from "./zfs_modules.ts";

/** Where images and modules are kept between runs. */
export const GUEST_CACHE: string = join(cacheDirectory(), "vm");

/** How the part is run. */
export interface GuestPartOptions {
  /** The suite's scratch. */
  readonly scratch: string;
  readonly moduleTimeout_ms: number;
  readonly signal: AbortSignal;
  /** Told each module's result as it comes. */
  readonly done: (result: ModuleResult) => void;
}

/**
 * A guest takes 2 GiB and as much of the processor as there is: two at once where memory allows. `LAMINA_TEST_JOBS=1`
 * makes it one.
 */
function laneCount(): number {
  const wanted = Number(Deno.env.get("LAMINA_TEST_JOBS")) || 2;
  return Deno.systemMemoryInfo().available > 8 * 2 ** 30 ? Math.min(wanted, 2) : 1;
}

/**
 * Runs every module that needs a guest. The zfs module, minutes of work on a machine that has never built it, is built
 * meanwhile. Where no guest can be had, each module is a skipped test that says why.
 */
export async function runGuestPart(files: readonly string[], options: GuestPartOptions): Promise<void> {
  if (files.length === 0) return;
  const skip = (skipped: readonly string[], why: string) => {
    for (const file of skipped) options.done(skippedModule(file, why));
  };
  const why = await whyNoGuest();
  if (why !== undefined) return skip(files, why);
  const suites = guestSuites(files.filter(isGuestTest));
  // Begun now, awaited when its suites are due. A failure is told there.
  const zfsModules = suites.some(({ zfs }) => zfs) ? settled(ensureZfsModules(GUEST_CACHE, say)) : undefined;
  const plain = await settled(ensureGuestImage(GUEST_CACHE, undefined, say));
  if ("error" in plain) {
    skip(files, `the guest cannot be built: ${plain.error}`);
    await zfsModules;
    return;
  }
  const tree = `${options.scratch}/tree.erofs`;
  const modules = [...suites.flatMap((suite) => suite.files), INSIDE];
  // Told where it is needed.
  const packed = suites.length === 0 ? undefined : await settled(makeGuestTree(tree, modules));

  const inGuest = suites.map((suite, index): GuestJob => ({
    files: suite.files,
    zfs: suite.zfs,
    async run() {
      if (packed !== undefined && "error" in packed) throw new Error(packed.error);
      const image: Settled<GuestImage> = suite.zfs ? await zfsImage(zfsModules!) : plain;
      if ("error" in image) return skip(suite.files, `zfs cannot be had: ${image.error}`);
      const directory = `${options.scratch}/guest${index}`;
      await Deno.mkdir(directory);
      await runGuestSuite(suite, image.value, tree, directory, options);
      await Deno.remove(directory, { recursive: true });
    },
  }));
  const booting = files.filter((file) => !isGuestTest(file)).map((file, index): GuestJob => ({
    files: [file],
    zfs: false,
    async run() {
      const { moduleTimeout_ms: timeout_ms, signal } = options;
      options.done(await runTestModule(file, { directory: `${options.scratch}/vm${index}`, timeout_ms, signal }));
    },
  }));
  // The longest first; what waits for the zfs module last.
  const [plainJobs, zfsJobs] = [inGuest.filter(({ zfs }) => !zfs), inGuest.filter(({ zfs }) => zfs)];
  const isBuilt = await isThere(zfsArchive(GUEST_CACHE, plain.value.kernelVersion));
  const jobs = isBuilt ? [...zfsJobs, ...plainJobs, ...booting] : [...plainJobs, ...booting, ...zfsJobs];
  await runJobs(jobs, options);
  if (suites.length > 0) await commandOutput("rm", ["-f", tree]);
}

interface GuestJob {
  readonly files: readonly string[];
  readonly zfs: boolean;
  run(): Promise<void>;
}

async function runJobs(jobs: readonly GuestJob[], { signal, done }: GuestPartOptions): Promise<void> {
  const queue = jobs.values();
  const lane = async () => {
    for (const { files, run } of queue) {
      if (signal.aborted) return;
      try {
        await run();
      } catch (error) {
        for (const file of files) done({ file, cases: [], problems: [messageOf(error)], output: "", duration_ms: 0 });
      }
    }
  };
  await Promise.all(Array.from({ length: laneCount() }, lane));
}

type Settled<T> = { readonly value: T } | { readonly error: string };

function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  return promise.then((value) => ({ value }), (error) => ({ error: messageOf(error) }));
}

async function zfsImage(modules: Promise<Settled<string>>): Promise<Settled<GuestImage>> {
  const built = await modules;
  return "error" in built ? built : await settled(ensureGuestImage(GUEST_CACHE, built.value, say));
}

function skippedModule(file: string, why: string): ModuleResult {
  const cases = [{ name: `every test of it (ignored: ${why.split("\n")[0]})`, result: "skipped" as const }];
  return { file, cases, problems: [], output: why, duration_ms: 0 };
}
