/**
 * `deno task demo [IMAGE] [--binary PATH]`: the main job for real, a line of explanation for each step. Every claim is
 * checked: the demo ends with status 1 when one does not hold.
 *
 * IMAGE is whatever `lamina image import` takes; without it one is built from this machine's static busybox.
 */
import { parseArgs } from "@std/cli/parse-args";
import { resolve } from "@std/path/posix";
import { unmountBelow } from "../support/scratch.ts";
import { ensurePackages } from "../support/packages.ts";
import { bold, green, red, say } from "../support/say.ts";
import { DemoSession } from "./demo_session.ts";
import { buildDemoImage } from "./demo_image.ts";
import { isThere } from "../../runtime/host/is_there.ts";

const { _: [image], binary, help } = parseArgs(Deno.args, { string: ["binary"], boolean: ["help"] });
if (help) {
  say("deno task demo [IMAGE] [--binary PATH]");
  say("  IMAGE   an OCI layout, a docker save archive or a rootfs tar; absent: one made of this machine's busybox");
  say("  --binary PATH   use a compiled lamina instead of the source");
  Deno.exit(0);
}
Deno.exit(await main(image === undefined ? undefined : resolve(String(image)), binary as string | undefined));

async function main(given: string | undefined, program: string | undefined): Promise<number> {
  await ensurePackages("demo");
  if (Deno.uid() !== 0) {
    say(red("The demo mounts file systems: please run it as root."));
    return 1;
  }
  const directory = await Deno.realPath(await Deno.makeTempDir({ prefix: "lamina-" }));
  const clean = async () => {
    await unmountBelow(directory);
    await Deno.remove(directory, { recursive: true });
  };
  let session: DemoSession | undefined;
  Deno.addSignalListener("SIGINT", async () => {
    await session?.[Symbol.asyncDispose]();
    await clean();
    Deno.exit(130);
  });
  const begun = performance.now();
  try {
    session = await DemoSession.start(directory, program === undefined ? undefined : resolve(program));
    await demonstrate(session, given);
    await session.end();
    say(
      green(bold(`Done in ${((performance.now() - begun) / 1000).toFixed(1)} s; all ${session.checks} checks hold.`)),
    );
    return 0;
  } catch (error) {
    say(red(error instanceof Error ? error.message : String(error)));
    return 1;
  } finally {
    await session?.[Symbol.asyncDispose]();
    await clean();
  }
}

/** The story. */
async function demonstrate(session: DemoSession, given: string | undefined): Promise<void> {
  const reference = "demo:1";
  const layout = given ?? `${session.directory}/busybox-image`;
  if (given === undefined) {
    session.step("An image: three layers of this machine's static busybox; the third deletes a file of the first.");
    await buildDemoImage(layout, reference);
  }
  session.step("Import: every layer is unpacked once, checked against its digest and synced before it counts.");
  await session.run("image", "import", layout, "--ref", reference);
  await session.run("image", "tree", reference);
  session.step("The same import again finds everything in place.");
  await session.run("image", "import", layout, "--ref", reference);

  session.step("Storage that outlives containers: a named volume, and a directory of the host.");
  await session.run("volume", "create", "shared");
  const host = `${session.directory}/host`;
  await Deno.mkdir(host);
  await Deno.writeTextFile(`${host}/from-host`, "a file of the host\n");

  session.step("Two containers on the same layers: each gets only an empty RW layer of its own.");
  for (const name of ["one", "two"]) {
    await session.run("container", "create", reference, "--name", name, "-v", "shared:/data", "-v", `${host}:/host:ro`);
  }
  session.step("Mounting puts image, RW layer and volumes together and prints where.");
  const one = (await session.run("container", "mount", "one")).trim();
  const two = (await session.run("container", "mount", "two")).trim();

  if (given === undefined) await runPrograms(session, one, two);
  else await writeFiles(session, one, two);

  session.step("What changed is in the RW layer of one (A added, C changed, D deleted); the image is untouched.");
  const diff = await session.run("container", "diff", "one");
  session.check("diff names the new file", diff.includes("A /demo-note"));
  if (given === undefined) {
    session.check("and what was changed and deleted", diff.includes("C /etc/motd") && diff.includes("D /etc/passwd"));
  }
  session.check(
    "diff of the other is free of it",
    !(await session.run("container", "diff", "two")).includes("demo-note"),
  );
  session.step("Proof: exporting puts each layer's archive together again from its files and checks its digest.");
  const archive = `${session.directory}/export.tar`;
  await session.run("image", "export", reference, "--output", archive);
  session.check("every layer still gives its digest", (await Deno.stat(archive)).size > 0);
  session.step("Who uses the disk: the layers once, and of each container only what it changed.");
  await session.run("df");

  session.step("Commit makes an image of what changed: one more layer, the others shared.");
  await session.run("container", "unmount", "one");
  await session.run("container", "commit", "one", "--ref", "demo:2");
  await session.run("image", "ls");
  await session.run("container", "create", "demo:2", "--name", "three");
  const three = (await session.run("container", "mount", "three")).trim();
  session.check("a container of the new image has the change", await isThere(`${three}/demo-note`));

  session.step("Remove everything that was made.");
  for (const name of ["one", "two", "three"]) await session.run("container", "rm", "-f", name);
  session.check("the volume outlives its containers", (await session.run("volume", "ls")).includes("shared"));
  await session.run("volume", "rm", "shared");
  for (const name of ["demo:2", reference]) await session.run("image", "rm", name);
  session.check("the host's directory is as it was", await isThere(`${host}/from-host`));

  session.step("Proof that nothing is left: mount table, directories, database.");
  await session.proveNothingIsLeft();
}

/** With a shell in the image: programs see what a container sees. */
async function runPrograms(session: DemoSession, one: string, two: string): Promise<void> {
  session.step("A program in container one: it reads the image, and writes to its root and to the volume.");
  const script =
    "hello one; echo changed > /etc/motd; echo new > /demo-note; rm /etc/passwd; hello one > /data/note; cat /host/from-host";
  const said = await session.chroot(one, script);
  session.check("it saw the image and the host's directory", /Hello from the image[^]*a file of the host/.test(said));
  session.check("what the third layer deleted is not there", !await isThere(`${one}/etc/old.conf`));
  session.check(
    "the directory that it replaced holds its own file only",
    (await names(`${one}/srv/app/doc`)) === "second-edition",
  );
  session.step("A program in container two: it shares the volume with one, and nothing else.");
  const seen = await session.chroot(two, "cat /data/note; hello two; ls /etc");
  session.check("it reads what one wrote to the volume", seen.includes("changed, said by one"));
  session.check(
    "it still has the image's own file (copy-on-write)",
    seen.includes("Hello from the image, said by two"),
  );
  session.check("what one deleted is there for two", seen.includes("passwd"));
  session.step("The host's directory was mounted read-only.");
  const refused = await session.chroot(one, "echo x > /host/from-host 2>&1 || echo refused");
  session.check("writing to it is refused", refused.includes("refused"));
}

/** An image from elsewhere may have no shell: the same from the outside. */
async function writeFiles(session: DemoSession, one: string, two: string): Promise<void> {
  session.step("Write to container one: its root, and the volume.");
  await Deno.writeTextFile(`${one}/demo-note`, "new\n");
  await Deno.writeTextFile(`${one}/data/note`, "from one\n");
  session.check("two shares the volume", await Deno.readTextFile(`${two}/data/note`) === "from one\n");
  session.check("and nothing else (copy-on-write)", !await isThere(`${two}/demo-note`));
}

async function names(directory: string): Promise<string> {
  return (await Array.fromAsync(Deno.readDir(directory), ({ name }) => name)).sort().join(" ");
}
