import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { testOperation } from "../support/scratch.ts";
import { configOf, layer, Layout, layoutOf, stored, streamOfBytes, tarOf } from "./support/archives.ts";
import { badDockerArchives } from "./support/bad_docker_archives.ts";
import { badLayouts } from "./support/bad_layouts.ts";
import { imageRoot, NOTHING } from "./support/image_root.ts";

const base = layer("etc/base", "base");
const top = layer("etc/top", "top");

const wrong = `sha256:${"0".repeat(64)}`;

for (const { what, code, says, archive, platform } of [...badLayouts, ...badDockerArchives]) {
  for (const way of ["file", "stream", "compressed stream"] as const) {
    Deno.test(`import refuses ${what} and leaves nothing (${way})`, async () => {
      await using root = await imageRoot();
      const bytes = archive();
      if (way === "compressed stream" && (bytes.length === 0 || code === "UNSUPPORTED" && what.includes("xz"))) return;
      await Deno.writeFile(`${root.work}/archive`, bytes);
      const source = way === "file"
        ? { path: `${root.work}/archive` }
        : { stream: streamOfBytes(way === "stream" ? bytes : stored(bytes, "gzip")) };
      const error = await assertRejects(() => root.images.import(source, { platform }, testOperation()), LaminaError);
      assertStringIncludes(error.message, says);
      assertEquals(error.code, code, error.message);
      assertEquals(await root.leftovers(), NOTHING);
      assertEquals([root.images.list(), root.events], [[], []]);
    });
  }
}

Deno.test("import refuses a damaged compressed archive and leaves nothing", async () => {
  await using root = await imageRoot();
  for (const as of ["gzip", "zstd"] as const) {
    const bytes = stored(layoutOf([layer("a", crypto.randomUUID().repeat(9999))], "web:1", "none").tar(), as);
    const damages = [bytes.slice(0, bytes.length >> 1), bytes.slice(0, bytes.length - 3)];
    for (const damaged of damages) {
      await Deno.writeFile(`${root.work}/archive`, damaged);
      for (const source of [{ path: `${root.work}/archive` }, { stream: streamOfBytes(damaged) }]) {
        await assertRejects(() => root.images.import(source, {}, testOperation()), LaminaError, "damaged or cut short");
        assertEquals(await root.leftovers(), NOTHING);
      }
    }
  }
});

Deno.test("import stops spooling at the limit, as with a bomb", async () => {
  await using root = await imageRoot({ maxSpool_bytes: 1 << 20 });
  const bomb = stored(tarOf({ "oci-layout": "x", "zeros": new Uint8Array(64 << 20) }), "gzip");
  const error = await assertRejects(
    () => root.images.import({ stream: streamOfBytes(bomb) }, {}, testOperation()),
    LaminaError,
    "limit",
  );
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assertEquals(await root.leftovers(), NOTHING);
});

Deno.test("import takes an archive of too many members for a rootfs, and says what it needs", async () => {
  await using root = await imageRoot({ maxMembers: 50 });
  const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`file${i}`, "x"]));
  await Deno.writeFile(`${root.work}/many.tar`, tarOf(files));
  await assertRejects(
    () => root.images.import({ path: `${root.work}/many.tar` }, {}, testOperation()),
    LaminaError,
    "--ref",
  );
});

Deno.test("import refuses a layout directory whose files lead out of it", async () => {
  await using root = await imageRoot();
  const directory = await layoutOf([base], "web:1").write(`${root.work}/layout`);
  await Deno.rename(`${directory}/index.json`, `${root.work}/index.json`);
  await Deno.symlink("../index.json", `${directory}/index.json`);
  const error = await assertRejects(
    () => root.images.import({ path: directory }, {}, testOperation()),
    LaminaError,
    "leads out of the directory",
  );
  assertEquals(error.code, "INVALID_ARGUMENT");
});

Deno.test("import names what is wrong with the source itself", async () => {
  await using root = await imageRoot();
  const failure = async (path: string) => {
    const error = await assertRejects(() => root.images.import({ path }, {}, testOperation()), LaminaError);
    return error.code;
  };
  assertEquals(await failure(`${root.work}/absent`), "NOT_FOUND");
  assertEquals(await failure("/dev/null"), "INVALID_ARGUMENT");
  await commandOutput("mkfifo", [`${root.work}/pipe`]);
  assertEquals(await failure(`${root.work}/pipe`), "INVALID_ARGUMENT");
  await Deno.mkdir(`${root.work}/empty`);
  assertEquals(await failure(`${root.work}/empty`), "INVALID_ARGUMENT");
});

Deno.test("import refuses a malformed reference, or one name for several images, before it reads a layer", async () => {
  await using root = await imageRoot();
  const layout = new Layout();
  layout.add(layout.manifest([base]), "one:1").add(layout.manifest([top]), "two:1");
  await Deno.writeFile(`${root.work}/two.tar`, layout.tar());
  for (const reference of ["Web", "web:", "web:1", `web@${wrong}`]) {
    await assertRejects(
      () => root.images.import({ path: `${root.work}/two.tar` }, { reference }, testOperation()),
      LaminaError,
    );
  }
  assertEquals(root.driver.applied, []);
  assertEquals(await root.leftovers(), NOTHING);
});

Deno.test("import undoes the images of an archive that were whole when another is not", async () => {
  await using root = await imageRoot();
  const layout = new Layout();
  layout.add(layout.manifest([base]), "good:1");
  layout.add(layout.manifest([base, top], { config: configOf([base, layer("x", "y")]) }), "bad:1");
  await Deno.writeFile(`${root.work}/two.tar`, layout.tar());
  await assertRejects(
    () => root.images.import({ path: `${root.work}/two.tar` }, {}, testOperation()),
    LaminaError,
    "diffID",
  );
  assertEquals(await root.leftovers(), NOTHING);
});
