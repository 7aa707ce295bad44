/** Roots for processes that are going to be killed. */
import { fromFileUrl, join } from "@std/path";
import { type ScratchDirectory, scratchDirectory, unmountBelow } from "../support/scratch.ts";
import { writeImage } from "../support/test_runtime.ts";
import type { Stage } from "./scenario.ts";

const victim = fromFileUrl(new URL("./victim.ts", import.meta.url));
const project = fromFileUrl(new URL("../..", import.meta.url));

/** What the rounds share: the image to import. */
export class CrashStage implements AsyncDisposable {
  #rounds = 0;

  private constructor(readonly scratch: ScratchDirectory) {}

  static async open(): Promise<CrashStage> {
    const scratch = await scratchDirectory();
    await writeImage(scratch.path, "base:1", [
      { "etc/motd": "hello\n", "v/": "", "gone": "x" },
      { "etc/more": "x", ".wh.gone": "" },
    ]);
    return new CrashStage(scratch);
  }

  /** A fresh root and a fresh host directory. */
  async round(): Promise<Round> {
    const directory = join(this.scratch.path, `round${this.#rounds++}`);
    const host = join(directory, "host");
    await Deno.mkdir(host, { recursive: true });
    await Deno.writeTextFile(join(host, "keep"), "keep\n");
    return new Round(directory, { layout: join(this.scratch.path, "layout"), host });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scratch[Symbol.asyncDispose]();
  }
}

/** How a victim ended. */
export interface Played {
  readonly killed: boolean;
  /** `try N`, `ack N`, …, `done`. */
  readonly told: readonly string[];
}

/** One root and one life. */
export class Round implements AsyncDisposable {
  constructor(readonly directory: string, readonly stage: Stage) {}

  get root(): string {
    return join(this.directory, "root");
  }

  /**
   * Runs the victim to its end. With `kill`: sends it SIGKILL so many milliseconds after it began that step.
   *
   * @throws when it ended in any other way than by SIGKILL or having done everything.
   */
  async play(env: Record<string, string>, kill?: { afterTry: number; delay_ms: number }): Promise<Played> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", victim, this.root, this.stage.layout, this.stage.host],
      cwd: project,
      env: { RUST_BACKTRACE: "0", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (kill !== undefined && text.includes(`try ${kill.afterTry}\n`)) {
        setTimeout(() => child.kill("SIGKILL"), kill.delay_ms);
        kill = undefined;
      }
    }
    const status = await child.status;
    const told = text.trim().split("\n").filter(Boolean);
    const killed = status.signal === "SIGKILL";
    if (!killed && !status.success) throw new Error(`the victim failed after ${told.at(-1)}: ${await stderr}`);
    await stderr;
    return { killed, told };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unmountBelow(this.directory);
    await Deno.remove(this.directory, { recursive: true });
  }
}
