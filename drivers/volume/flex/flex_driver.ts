/** The FlexVolume drivers of this host: `DIRECTORY/VENDOR~DRIVER/DRIVER`, one program each. */
import { join } from "@std/path/posix";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { runCommand } from "../../../runtime/host/command.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { type FlexAnswer, type FlexVerb, parseFlexAnswer } from "./flex_answer.ts";

/** Where Kubernetes has them. */
export const FLEX_DIRECTORY = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";

/** Patience with one call. */
const CALL_MS = 120_000;

/** See the head of the file. */
export class FlexDrivers {
  readonly #directory: string;
  /** By driver: when its program was changed last, and whether it attaches. */
  readonly #initialized = new Map<string, { readonly mtime_ms: number; readonly attaches: boolean }>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Whether a driver brings devices to this node, rather than only mounting. Asks its `init` once for each version of
   * its program.
   */
  async attaches(driver: string, operation: Operation): Promise<boolean> {
    const program = this.#programOf(driver);
    const mtime_ms = await this.#modified(driver, program);
    const known = this.#initialized.get(driver);
    if (known?.mtime_ms === mtime_ms) return known.attaches;
    const answer = await this.#run(driver, program, "init", [], operation);
    const attaches = answer?.capabilities?.attach ?? true;
    this.#initialized.set(driver, { mtime_ms, attaches });
    return attaches;
  }

  /** One call. `undefined`: the driver does not support the verb. @throws `NOT_FOUND` (no driver), `INTERNAL` */
  async call(
    driver: string,
    verb: FlexVerb,
    args: readonly string[],
    operation: Operation,
  ): Promise<FlexAnswer | undefined> {
    await this.attaches(driver, operation);
    return await this.#run(driver, this.#programOf(driver), verb, args, operation);
  }

  async #run(
    driver: string,
    program: string,
    verb: FlexVerb,
    args: readonly string[],
    { signal }: Operation,
  ): Promise<FlexAnswer | undefined> {
    return parseFlexAnswer(driver, verb, await runCommand(program, [verb, ...args], { signal, timeout_ms: CALL_MS }));
  }

  #programOf(driver: string): string {
    const [vendor, name] = driver.split("/") as [string, string];
    return join(this.#directory, `${vendor}~${name}`, name);
  }

  async #modified(driver: string, program: string): Promise<number> {
    try {
      const { mtime } = await Deno.stat(program);
      return mtime?.getTime() ?? 0;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        throw hostError(error, `Cannot look at ${program}`, { path: program });
      }
      throw new LaminaError(
        "NOT_FOUND",
        `There is no FlexVolume driver ${driver}: ${program} does not exist. Install it`,
        {
          details: { driver, path: program },
        },
      );
    }
  }
}
