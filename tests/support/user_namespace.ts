/** Programs in a user namespace: root there, nobody in particular outside. */
import { runCommand } from "../../runtime/host/command.ts";

/** A user namespace that lives until it is disposed of. */
export interface UserNamespace extends AsyncDisposable {
  /** Program and arguments that run `argv` as its root, with a mount namespace of its own. */
  command(argv: readonly string[]): [program: string, ...args: string[]];
}

/**
 * A user namespace that maps the ids 0 to 65,535 onto themselves: files keep their owners, but no capability reaches
 * beyond it, as for a user who has a range of ids. `undefined` where the kernel gives none.
 */
export async function createUserNamespace(): Promise<UserNamespace | undefined> {
  const holder = new Deno.Command("unshare", {
    args: ["--user", "sh", "-c", "echo ready; read -r _"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const { value } = await holder.stdout.getReader().read();
  if (value === undefined) {
    await holder.status;
    return undefined;
  }
  for (const [file, text] of [["setgroups", "allow"], ["uid_map", "0 0 65536"], ["gid_map", "0 0 65536"]] as const) {
    await Deno.writeTextFile(`/proc/${holder.pid}/${file}`, text);
  }
  const enter = ["--user", `--target=${holder.pid}`, "--setuid=0", "--setgid=0", "--"];
  return {
    command: (argv) => ["nsenter", ...enter, "unshare", "--mount", "--propagation=private", "--", ...argv],
    async [Symbol.asyncDispose]() {
      await holder.stdin.close();
      await holder.status;
    },
  };
}

/** Whether `mount` works for root of such a namespace here. */
export async function canMountInside(namespace: UserNamespace): Promise<boolean> {
  const [program, ...args] = namespace.command(["mount", "-t", "tmpfs", "none", "/mnt"]);
  return (await runCommand(program, args)).code === 0;
}
