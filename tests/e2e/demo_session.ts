/** The demo's stage: a daemon, a command line that is shown as it is typed, and checks that must hold. */
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { mountsUnder } from "../support/machine_state.ts";
import { bold, cyan, dim, green, say } from "../support/say.ts";
import { type LaminaProcess, startLamina } from "./lamina_process.ts";

/** See the head of the file. */
export class DemoSession implements AsyncDisposable {
  readonly #lamina: LaminaProcess;
  #step = 0;
  /** How many checks held. */
  checks = 0;

  private constructor(readonly directory: string, lamina: LaminaProcess) {
    this.#lamina = lamina;
  }

  /** Starts the daemon on a root below `directory`, and tells so. */
  static async start(directory: string, binary: string | undefined): Promise<DemoSession> {
    const lamina = await startLamina(directory, { binary });
    const session = new DemoSession(directory, lamina);
    session.step(`A daemon on a root of its own (${binary ?? "from source"}).`);
    const info = await (await lamina.request("/v1/info")).json();
    session.#show("serve", "--root", lamina.root, "--socket", lamina.socket);
    say(`  ready after ${lamina.ready_ms.toFixed(0)} ms: storage driver ${info.storage_driver}, kernel ${info.kernel}`);
    return session;
  }

  /** Explains what comes next. */
  step(text: string): void {
    say();
    say(bold(`${++this.#step}. ${text}`));
  }

  /** Runs `lamina ARGS`, shown as a person would type it, and returns what it printed. */
  async run(...args: string[]): Promise<string> {
    this.#show(...args);
    const output = await this.#lamina.lamina(...args);
    this.#showOutput(output);
    return output;
  }

  /** Runs a shell script inside of a mounted root, with the image's own shell. */
  async chroot(rootfs: string, script: string): Promise<string> {
    say(`  ${cyan(`# chroot ${this.#short(rootfs)} sh -c '${script}'`)}`);
    const { stdout, stderr } = await runCommand("chroot", [rootfs, "/bin/sh", "-c", script], {
      env: { PATH: "/srv/app:/bin:/usr/sbin:/usr/bin:/sbin" },
    });
    const output = stdout + stderr;
    this.#showOutput(output);
    return output;
  }

  /** A claim; the demo ends here when it does not hold. */
  check(claim: string, holds: boolean): void {
    if (!holds) throw new Error(`This does not hold: ${claim}`);
    this.checks++;
    say(green(`  ✓ ${claim}`));
  }

  /** Checks the mount table, the directories and, with the daemon's own eyes, the database. */
  async proveNothingIsLeft(): Promise<void> {
    const found = JSON.parse(await this.#lamina.lamina("check", "--json"));
    await this.run("check");
    this.check("the database and the disk agree", found.findings.length === 0);
    const info = await (await this.#lamina.request("/v1/info")).json();
    this.check(
      "no image, layer, container or volume is known",
      [info.images, info.layers, info.containers, info.volumes].every((n) => n === 0),
    );
    const mounts = (await mountsUnder(this.#lamina.root)).filter((target) => target !== this.#lamina.root);
    this.check("nothing is mounted", mounts.length === 0);
    this.check("no file of a layer, container or volume is on the disk", await this.#leftovers() === "");
  }

  /** Stops the daemon as a service manager would. */
  async end(): Promise<void> {
    this.step("The daemon stops cleanly on SIGTERM.");
    const { code } = await this.#lamina.stop();
    this.check("its status is 0", code === 0);
    this.check("no mount survives it", (await mountsUnder(this.directory)).length === 0);
    say();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lamina[Symbol.asyncDispose]();
  }

  /** Files below the root besides the database, the lock and the drivers' own bookkeeping. */
  async #leftovers(): Promise<string> {
    const root = this.#lamina.root;
    const places = ["drivers", "containers", "volumes", "staging", "trash", "recipes"].map((name) => `${root}/${name}`);
    // drivers/NAME/store says whose directory that is.
    const found = ["-not", "-type", "d", "-not", "-path", `${root}/drivers/*/store`];
    return (await commandOutput("find", [...places, "-xdev", ...found])).trim();
  }

  #show(...args: string[]): void {
    say(`  ${cyan(`$ lamina ${this.#short(args.join(" "))}`)}`);
  }

  #showOutput(output: string): void {
    for (const line of output.split("\n")) if (line !== "") say(`  ${dim(this.#short(line))}`);
  }

  /** Long ids and the temporary directory say nothing to a reader. */
  #short(text: string): string {
    return text.replaceAll(this.directory, "…").replace(/[0-9a-f]{64}/g, (id) => `${id.slice(0, 12)}…`);
  }
}
