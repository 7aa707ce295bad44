/** Trees for the tests of the layer engine, and GNU tar as their judge. */
import { type ByteString, byteStringFromText } from "../../../runtime/core/bytes.ts";
import { closeFd, openAt } from "../../../runtime/host/fs_calls.ts";
import { runCommand } from "../../../runtime/host/command.ts";
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_WRONLY } from "../../../runtime/host/openat2.ts";
import { setXattrAt } from "../../../runtime/host/xattr_calls.ts";
import { mkdirAt, writeFd } from "../../../runtime/host/fs_change_calls.ts";

/** Runs a shell script in `directory`; fails with its standard error. Returns its standard output. */
export async function sh(directory: string, script: string): Promise<string> {
  const result = await runCommand("bash", ["-euc", script], { cwd: directory, maxOutput_bytes: 64 << 20 });
  if (result.code !== 0) throw new Error(`script failed with ${result.code}: ${result.stderr}\n${script}`);
  return result.stdout;
}

const TAR =
  "tar -cf - --format=posix --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*' --sort=name " +
  "--numeric-owner --warning=no-file-ignored";

/** Everything that GNU tar sees of a tree, one line an entry, and a digest of its contents at the end. */
export async function describeTree(directory: string): Promise<string[]> {
  const list = await sh(
    directory,
    `${TAR} . | tar -tvvf - --full-time --xattrs --xattrs-include='*' --numeric-owner`,
  );
  const digest = await sh(directory, "find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum");
  // The order of attributes is the file system's: each entry becomes one line with its attributes sorted.
  const entries = list.trimEnd().split(/\n(?! {2}x: )/).map((entry) => {
    const [head, ...attributes] = entry.split("\n");
    return [head, ...attributes.sort()].join(";");
  });
  return [...entries, digest.trim()];
}

/** Unpacks an archive by GNU tar, everything kept. */
export async function gnuUnpack(archive: Uint8Array<ArrayBuffer>, directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  const result = await runCommand("tar", [
    "-xpf",
    "-",
    "--xattrs",
    "--xattrs-include=*",
    "--warning=no-timestamp",
    "--numeric-owner",
    "--same-owner",
    "-C",
    directory,
  ], { stdin: archive });
  if (result.code !== 0 || result.stderr !== "") throw new Error(`tar said: ${result.stderr}`);
}

/** Names in an archive as GNU tar reads them, escaped, in order. */
export async function gnuNames(archive: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const args = ["-tf", "-", "--quoting-style=escape"];
  const result = await runCommand("tar", args, { stdin: archive, maxOutput_bytes: 64 << 20 });
  if (result.code !== 0 || result.stderr !== "") throw new Error(`tar said: ${result.stderr}`);
  return result.stdout.trimEnd().split("\n");
}

/** `tar -tvv` of an archive with numeric owners and full times. */
export async function gnuList(archive: Uint8Array<ArrayBuffer>): Promise<string> {
  const args = [
    "-tvvf",
    "-",
    "--full-time",
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
    "--quoting-style=escape",
  ];
  const result = await runCommand("tar", args, { stdin: archive, env: { TZ: "UTC" }, maxOutput_bytes: 64 << 20 });
  if (result.code !== 0 || result.stderr !== "") throw new Error(`tar said: ${result.stderr}`);
  return result.stdout;
}

/** All chunks as one. */
export function joined(chunks: Iterable<Uint8Array<ArrayBuffer>>): Uint8Array<ArrayBuffer> {
  const list = [...chunks];
  const all = new Uint8Array(list.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of list) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** A stream's bytes. */
export async function drained(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  return joined(await Array.fromAsync(stream));
}

/** A byte string of characters that each stand for a byte. */
export function bytes(text: string): ByteString {
  return text as ByteString;
}

/** Runs `work` with a descriptor of `directory`. */
export function inDirectory<T>(directory: string, work: (fd: number) => T): T {
  const fd = openAt(AT_FDCWD, byteStringFromText(directory), O_RDONLY | O_DIRECTORY);
  try {
    return work(fd);
  } finally {
    closeFd(fd);
  }
}

/** Sets an extended attribute of `name` in `directory`. */
export function setAttribute(directory: string, name: string, attribute: string, value: string): void {
  inDirectory(
    directory,
    (fd) => setXattrAt(fd, byteStringFromText(name), bytes(attribute), new TextEncoder().encode(value)),
  );
}

/** Makes a file whose name is given byte by byte. */
export function makeFile(directory: string, name: ByteString, content = ""): void {
  inDirectory(directory, (dirFd) => {
    const fd = openAt(dirFd, name, O_WRONLY | O_CREAT, 0o644);
    writeFd(fd, new TextEncoder().encode(content));
    closeFd(fd);
  });
}

/** Makes `levels` directories, each in the one before, all named `name`, and a file in the last. */
export function makeDeepTree(directory: string, levels: number, name = "deep"): void {
  let fd = openAt(AT_FDCWD, byteStringFromText(directory), O_RDONLY | O_DIRECTORY);
  for (let level = 0; level < levels; level++) {
    mkdirAt(fd, bytes(name), 0o755);
    const next = openAt(fd, bytes(name), O_RDONLY | O_DIRECTORY);
    closeFd(fd);
    fd = next;
  }
  const file = openAt(fd, bytes("bottom"), O_WRONLY | O_CREAT, 0o644);
  writeFd(file, new TextEncoder().encode("bottom\n"));
  closeFd(file);
  closeFd(fd);
}

/** A value that grants CAP_NET_BIND_SERVICE, as `setcap cap_net_bind_service=ep` writes it. */
export const CAPABILITY = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/** A tree with one of everything: odd names, links, devices, attributes, holes, times before and after the epoch. */
export async function makeRichTree(directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  await sh(
    directory,
    `
    mkdir -p etc usr/bin "with space" empty a/b/c
    printf 'root:x:0:0\\n' > etc/passwd; chmod 640 etc/passwd; chown 0:42 etc/passwd
    head -c 700000 /dev/urandom > usr/bin/tool; chmod 4755 usr/bin/tool; ln usr/bin/tool usr/bin/again; ln usr/bin/tool a/third
    ln -s ../etc/passwd usr/link; ln usr/link usr/link2; ln -s /nowhere dangling; chown -h 7:8 dangling
    mkfifo -m 620 pipe; mknod -m 666 null c 1 3; mknod -m 660 disk b 8 300
    truncate -s 3M sparse; printf data | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
    : > zero; head -c 512 /dev/zero > block; head -c 513 /dev/zero > overblock
    chmod 1777 empty; chmod 2750 a/b; chown 3000000:4000000 a/b
    touch -h -d '@1700000000.123456789' usr/link etc/passwd; touch -d '@-1.5' zero; touch -d '@981173106' block
    touch -d '@1600000000.000000001' a/b/c a/b a etc usr/bin
    `,
  );
  makeFile(directory, bytes("invalid \xff\xfe utf8"), "x");
  makeFile(directory, bytes("new\nline"), "y");
  makeFile(directory, bytes("\xc3\xa9t\xc3\xa9"), "z");
  makeFile(directory, bytes("n".repeat(255)), "long");
  makeFile(`${directory}/a/b/c`, bytes("\xff".repeat(255)), "long and invalid");
  inDirectory(directory, (fd) => {
    setXattrAt(fd, bytes("usr/bin/tool"), bytes("security.capability"), CAPABILITY);
    setXattrAt(fd, bytes("etc"), bytes("user.note"), new TextEncoder().encode("a=b\nc"));
    setXattrAt(fd, bytes("dangling"), bytes("trusted.link"), new Uint8Array([0, 255, 10]));
    setXattrAt(fd, bytes("zero"), bytes("user.empty"), new Uint8Array());
  });
  inDirectory(directory, (fd) => setXattrAt(fd, bytes("a/b"), bytes("user.odd=name%3D"), new Uint8Array([1])));
}
