/** Mounting what a volume of the driver `local` has behind it: `type`, `device` and `o`. */
import { LaminaError } from "../../../../runtime/core/errors.ts";
import type { Mount } from "../../../../runtime/core/mount.ts";
import { type Operation, withDeadline } from "../../../../runtime/core/operation.ts";
import { memoryFile } from "../../../../runtime/host/fstab.ts";
import { resolveHost } from "../../../../runtime/host/host_names.ts";
import type { Mounter } from "../../../../runtime/host/mounter.ts";
import { type LocalPlan, withoutSecrets } from "./local_options.ts";

type MountPlan = Extract<LocalPlan, { kind: "mount" }>;

/** What a server or a device may take before it counts as one that does not answer. */
const MOUNT_TIMEOUT_MS = 60_000;

/**
 * Mounts a plan at `target`. mount(8) runs as a process of its own where the type may hang; the deadline kills it, and
 * no other volume waits for it. No secret stands in any program's arguments: a helper reads it from a file in memory.
 *
 * @throws `NOT_FOUND`, `UNAVAILABLE` (addresses), `DEADLINE_EXCEEDED`, and what {@linkcode Mounter.mount} throws.
 */
export async function mountPlan(
  plan: MountPlan,
  target: string,
  mounter: Mounter,
  operation: Operation,
): Promise<void> {
  const { signal } = withDeadline(operation, MOUNT_TIMEOUT_MS);
  using resources = new DisposableStack();
  const { type, device } = plan;
  let options = await withAddress(plan, signal);
  if (secretFiles[type] !== undefined) {
    const { plain, secrets } = withoutSecrets(options);
    const found = secretFiles[type](plain, secrets);
    if (found !== undefined) {
      const file = resources.use(memoryFile(found.content));
      options = [...found.options, `${found.option}=${file.path}`];
    }
  }
  const mount: Mount = { type: type === "none" ? "bind" : type, source: device, target, options };
  await mounter.mount([mount], { signal, timeout_ms: MOUNT_TIMEOUT_MS });
}

/** The kernel takes addresses only. The name is resolved anew at each mount: servers move. */
async function withAddress({ type, device, options }: MountPlan, signal: AbortSignal): Promise<readonly string[]> {
  if (!/^(nfs|nfs4|cifs|smb3)$/.test(type)) return options;
  const at = options.findIndex((option) => option.startsWith("addr="));
  if (at >= 0) {
    const address = await resolveHost(options[at]!.slice("addr=".length), signal);
    return options.with(at, `addr=${address}`);
  }
  const server = type.startsWith("nfs") ? undefined : /^(?:[a-z]+:)?\/\/(?:[^/@]*@)?([^/:]+)/i.exec(device)?.[1];
  return server === undefined ? options : [...options, `addr=${await resolveHost(server, signal)}`];
}

interface SecretFile {
  /** What is left on the command line of the helper. */
  readonly options: readonly string[];
  /** The option that names the file. */
  readonly option: string;
  readonly content: string;
}

/** Types whose helper mount(8) calls with all options as arguments, and how it reads secrets from a file instead. */
const secretFiles: Readonly<
  Record<string, (plain: readonly string[], secrets: ReadonlyMap<string, string>) => SecretFile | undefined>
> = { cifs: cifsCredentials, smb3: cifsCredentials, ceph: cephSecret };

function cifsCredentials(plain: readonly string[], secrets: ReadonlyMap<string, string>): SecretFile | undefined {
  const password = secrets.get("password") ?? secrets.get("pass") ?? secrets.get("passwd");
  if (password === undefined) return undefined;
  if (plain.some((option) => option.startsWith("credentials="))) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      'Cannot mount the share: "o" has a password and credentials. Give one of them',
    );
  }
  const names = /^(username|user|domain|dom|workgroup)=(.*)$/;
  const lines = plain.flatMap((option) => {
    const match = names.exec(option);
    if (match === null) return [];
    return [`${match[1]!.startsWith("user") ? "username" : "domain"}=${match[2]}`];
  });
  const content = [...lines, `password=${password}`, ""].join("\n");
  return { options: plain.filter((option) => !names.test(option)), option: "credentials", content };
}

function cephSecret(plain: readonly string[], secrets: ReadonlyMap<string, string>): SecretFile | undefined {
  const secret = secrets.get("secret");
  return secret === undefined ? undefined : { options: plain, option: "secretfile", content: `${secret}\n` };
}
