/**
 * A life of Lamina in the guest, until the power is cut: `lamina_life.ts ROOT LIFE ACKNOWLEDGED`.
 *
 * First it proves that everything acknowledged in earlier lives (a JSON array) is there with its content and that the
 * check finds nothing; then it goes on, and tells each object as it is acknowledged (`ack KIND NAME`).
 */
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { ContainerCommit, ContainerCreate } from "../../runtime/core/specs/container.ts";
import { VolumeCreate } from "../../runtime/core/specs/volume.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import type { LaminaRuntime } from "../../runtime/services.ts";
import { writeImage } from "../support/test_runtime.ts";

const [root, life, acknowledged] = Deno.args as [string, string, string];
const operation = backgroundOperation();
// Written at once: what a buffer held would be lost.
const tell = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
const textOf = (name: string) => `${name} `.repeat(3000);

async function prove({ images, containers, volumes, system }: LaminaRuntime, objects: readonly string[]) {
  const { findings } = await system.check({ repair: false, deep: true }, operation);
  if (findings.length > 0) throw new Error(`check: ${findings.map(({ message }) => message).join("; ")}`);
  for (const object of objects) {
    const [kind, name] = object.split(" ") as [string, string];
    if (kind === "volume") same(await Deno.readTextFile(`${volumes.inspect(name).mountpoint}/file`), name);
    else if (kind === "container") await containers.inspect(name, { size: false }, operation);
    else if (kind === "gone") {
      if (containers.list().some((container) => container.name === name)) throw new Error(`${name} came back`);
    } else {
      const container = await containers.create(ContainerCreate.parse({ image: name }), operation);
      const { rootfs } = await containers.mount(container.id, operation);
      same(await Deno.readTextFile(`${rootfs}/file`), name);
      await containers.remove(container.id, { force: true, volumes: true }, operation);
    }
  }
  if (objects.includes("image base:1") && !images.list().some(({ references }) => references.includes("base:1"))) {
    throw new Error("base:1 is gone");
  }
}

function same(found: string, name: string): void {
  if (found !== textOf(name)) throw new Error(`the content of ${name} is not what it was: ${found.length} bytes`);
}

/** An application's own part: what it wrote, it has to sync itself. */
function writeSynced(directory: string, name: string): void {
  {
    using file = Deno.openSync(`${directory}/file`, { write: true, create: true, truncate: true });
    file.writeSync(new TextEncoder().encode(textOf(name)));
    file.syncSync();
  }
  using entry = Deno.openSync(directory);
  entry.syncSync();
}

async function importBase({ images }: LaminaRuntime) {
  const work = await Deno.makeTempDir();
  await writeImage(work, "base:1", [{ "etc/motd": "hello\n" }, { "file": textOf("base:1") }]);
  await images.import({ path: `${work}/layout` }, {}, operation);
  tell("ack image base:1");
}

async function carryOn({ containers, volumes }: LaminaRuntime) {
  for (let number = 0;; number++) {
    const id = `${life}-${number}`;
    const volume = await volumes.create(VolumeCreate.parse({ name: `v${id}` }), operation);
    writeSynced(volume.mountpoint, volume.name);
    tell(`ack volume v${id}`);
    const mounts = [{ type: "volume", source: `v${id}`, target: "/v" }];
    await containers.create(ContainerCreate.parse({ image: "base:1", name: `c${id}`, mounts }), operation);
    tell(`ack container c${id}`);
    const { rootfs } = await containers.mount(`c${id}`, operation);
    // Not synced: the commit has to do that.
    await Deno.writeTextFile(`${rootfs}/file`, textOf(`made:${id}`));
    await containers.unmount(`c${id}`, { lazy: false }, operation);
    await containers.commit(`c${id}`, ContainerCommit.parse({ reference: `made:${id}` }), operation);
    tell(`ack image made:${id}`);
    if (number === 0) continue;
    const previous = `c${life}-${number - 1}`;
    tell(`removing ${previous}`);
    await containers.remove(previous, { force: true, volumes: false }, operation);
    tell(`ack gone ${previous}`);
  }
}

await using runtime = await createRuntime({ root });
await prove(runtime, JSON.parse(acknowledged));
tell("proved");
if (life === "last") Deno.exit(0);
if (!JSON.parse(acknowledged).includes("image base:1")) await importBase(runtime);
await carryOn(runtime);
