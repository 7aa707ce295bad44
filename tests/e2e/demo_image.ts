/** A real image made from this machine: Debian's static busybox, three layers, whiteouts included. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { writeOciLayout } from "../support/oci_layout.ts";

/** Where Debian's package puts it. */
const busybox = "/bin/busybox";

/**
 * Writes an OCI layout directory that holds one image.
 *
 * @param directory Where; made. Work files go beside it and away again.
 * @param reference Name and tag that the layout gives the image.
 */
export async function buildDemoImage(directory: string, reference: string): Promise<void> {
  const work = `${directory}.work`;
  const layers: Array<{ tar: Uint8Array<ArrayBuffer>; createdBy: string }> = [];
  const layer = async (createdBy: string, fill: (tree: string) => Promise<void>) => {
    const tree = join(work, String(layers.length));
    await Deno.mkdir(tree, { recursive: true });
    await fill(tree);
    layers.push({ createdBy, tar: await tarOf(tree) });
  };
  await layer("busybox and the files of a small system", baseLayer);
  await layer("an application with its documentation", applicationLayer);
  await layer("an update: one file deleted, one directory replaced", updateLayer);
  await writeOciLayout(directory, {
    reference,
    layers,
    config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin:/srv/app"], WorkingDir: "/" },
  });
  await Deno.remove(work, { recursive: true });
}

async function baseLayer(tree: string): Promise<void> {
  for (const name of ["bin", "etc", "data", "host", "root", "proc", "dev"]) await Deno.mkdir(join(tree, name));
  await Deno.mkdir(join(tree, "tmp"));
  await Deno.chmod(join(tree, "tmp"), 0o1777);
  await Deno.copyFile(busybox, join(tree, "bin/busybox"));
  await Deno.chmod(join(tree, "bin/busybox"), 0o755);
  for (const applet of (await commandOutput(busybox, ["--list"])).trim().split("\n")) {
    if (applet !== "busybox") await Deno.symlink("busybox", join(tree, "bin", applet));
  }
  await Deno.writeTextFile(join(tree, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  await Deno.writeTextFile(join(tree, "etc/motd"), "Hello from the image\n");
  await Deno.writeTextFile(join(tree, "etc/old.conf"), "mode=old\n");
}

async function applicationLayer(tree: string): Promise<void> {
  await Deno.mkdir(join(tree, "srv/app/doc"), { recursive: true });
  await Deno.writeTextFile(join(tree, "srv/app/hello"), '#!/bin/sh\necho "$(cat /etc/motd), said by ${1:-nobody}"\n');
  await Deno.chmod(join(tree, "srv/app/hello"), 0o755);
  await Deno.writeTextFile(join(tree, "srv/app/doc/first-edition"), "first\n");
}

/** `.wh.NAME` hides a name of the layers below, `.wh..wh..opq` hides all that they have in its directory. */
async function updateLayer(tree: string): Promise<void> {
  await Deno.mkdir(join(tree, "etc"));
  await Deno.writeTextFile(join(tree, "etc/.wh.old.conf"), "");
  await Deno.mkdir(join(tree, "srv/app/doc"), { recursive: true });
  await Deno.writeTextFile(join(tree, "srv/app/doc/.wh..wh..opq"), "");
  await Deno.writeTextFile(join(tree, "srv/app/doc/second-edition"), "second\n");
}

async function tarOf(tree: string): Promise<Uint8Array<ArrayBuffer>> {
  const tar = `${tree}.tar`;
  const plain = ["--sort=name", "--mtime=@1700000000", "--owner=0", "--group=0", "--numeric-owner"];
  await commandOutput("tar", [...plain, "-cf", tar, "-C", tree, "."]);
  return await Deno.readFile(tar);
}
