/**
 * A program in a mount namespace of its own: nothing else on the machine disturbs what it finds in the mount table, and
 * whatever it leaves there goes with its last process, however that ends.
 */

const insideVariable = "LAMINA_OWN_NAMESPACE";

/** Whether this process is the one inside. */
export const isInside: boolean = Deno.env.get(insideVariable) !== undefined;

/** Whether such a namespace can be had: with root on a real kernel. */
export async function canUnshare(): Promise<boolean> {
  if (Deno.uid() !== 0) return false;
  const { success } = await new Deno.Command("unshare", {
    args: ["--mount", "--propagation", "private", "true"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/** Runs this same program inside and returns its exit status. */
export async function againInside(args: readonly string[]): Promise<number> {
  const child = new Deno.Command("unshare", {
    args: ["--mount", "--propagation", "private", Deno.execPath(), "run", "-A", "--no-check", Deno.mainModule, ...args],
    env: { [insideVariable]: "1" },
    stdin: "null",
  }).spawn();
  // A terminal sends its SIGINT to the child as well; whoever ends this process by its id does not.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener("SIGTERM", () => child.kill("SIGTERM"));
  return (await child.status).code;
}
