/**
 * The life of two containers with everything that leaves an intent or a row: run by the victim until it is killed, and
 * by the test again afterwards, to prove that whatever was interrupted can be done again.
 */
import { join } from "@std/path/posix";
import { isLaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { ContainerCommit, ContainerCreate } from "../../runtime/core/specs/container.ts";
import { VolumeCreate } from "../../runtime/core/specs/volume.ts";
import type { LaminaRuntime } from "../../runtime/services.ts";

/** Where the scenario finds what it needs besides the root. */
export interface Stage {
  /** OCI layout of the image `base:1`. */
  readonly layout: string;
  /** A host directory with the file `keep`, which no step may touch. */
  readonly host: string;
}

/** What a step changes, e.g. `+image base:1`, `-volume first`, `+mounted one`, `+data first`. */
export type Effect = `${"+" | "-"}${"image" | "volume" | "container" | "mounted" | "data"} ${string}`;

/** One acknowledged call. */
export interface Step {
  readonly effects: readonly Effect[];
  run(runtime: LaminaRuntime): Promise<unknown>;
}

const operation = backgroundOperation();
const text = "precious\n";

/** The steps, in order. Each is an idempotent wish: what is so already is left so. */
export function steps({ layout, host }: Stage): Step[] {
  return [
    { effects: ["+image base:1"], run: ({ images }) => images.import({ path: layout }, {}, operation) },
    {
      effects: ["+volume first"],
      run: ({ volumes }) => volumes.create(VolumeCreate.parse({ name: "first" }), operation),
    },
    { effects: ["+data first"], run: (runtime) => writeData(runtime, "first") },
    {
      effects: ["+volume anonymous"],
      run: async ({ volumes }) => anonymousVolume(volumes) ?? await volumes.create(VolumeCreate.parse({}), operation),
    },
    {
      effects: ["+container one", "+volume second"],
      run: ({ containers, volumes }) => {
        const sources = ["first", "second", anonymousVolume(volumes)!];
        const mounts = [
          ...sources.map((source, i) => ({ type: "volume", source, target: `/v/${i}` })),
          { type: "bind", source: host, target: "/host", read_only: true },
        ];
        const spec = ContainerCreate.parse({ image: "base:1", name: "one", mounts });
        return unless("ALREADY_EXISTS", () => containers.create(spec, operation));
      },
    },
    { effects: ["+mounted one"], run: ({ containers }) => containers.mount("one", operation) },
    { effects: ["+data second"], run: (runtime) => writeData(runtime, "second") },
    {
      effects: ["-mounted one"],
      run: ({ containers }) => containers.unmount("one", { lazy: false }, operation),
    },
    { effects: ["+mounted one"], run: ({ containers }) => containers.mount("one", operation) },
    { effects: [], run: ({ containers }) => writeRoot(containers, "one") },
    {
      effects: ["+image made:1"],
      run: ({ containers }) => containers.commit("one", ContainerCommit.parse({ reference: "made:1" }), operation),
    },
    {
      effects: ["+container two"],
      run: ({ containers }) =>
        unless(
          "ALREADY_EXISTS",
          () => containers.create(ContainerCreate.parse({ image: "made:1", name: "two" }), operation),
        ),
    },
    { effects: ["+mounted two"], run: ({ containers }) => containers.mount("two", operation) },
    {
      effects: ["+container three", "+mounted three", "+volume third"],
      run: async ({ containers }) => {
        const mounts = [{ type: "volume", source: "third", target: "/v" }];
        const spec = ContainerCreate.parse({ image: "base:1", name: "three", mounts });
        await unless("ALREADY_EXISTS", () => containers.create(spec, operation, { mount: true }));
        await containers.mount("three", operation);
      },
    },
    { effects: ["-container three", "-mounted three"], run: ({ containers }) => removeContainer(containers, "three") },
    {
      effects: ["-volume third"],
      run: ({ volumes }) => unless("NOT_FOUND", () => volumes.remove("third", operation)),
    },
    { effects: ["-container two", "-mounted two"], run: ({ containers }) => removeContainer(containers, "two") },
    {
      effects: ["-image made:1"],
      run: ({ images }) => unless("NOT_FOUND", () => images.remove("made:1", { force: false }, operation)),
    },
    {
      effects: ["-container one", "-mounted one", "-volume anonymous"],
      run: ({ containers }) => removeContainer(containers, "one"),
    },
    {
      effects: ["-volume second", "-data second"],
      run: ({ volumes }) => unless("NOT_FOUND", () => volumes.remove("second", operation)),
    },
    {
      effects: ["-volume first", "-data first"],
      run: ({ volumes }) => volumes.prune({ all: true }, operation),
    },
    {
      effects: ["-image base:1"],
      run: ({ images }) => unless("NOT_FOUND", () => images.remove("base:1", { force: false }, operation)),
    },
    // A commit that was done twice has left the first image without a name.
    { effects: [], run: ({ images }) => images.prune({ all: true }, operation) },
  ];
}

/** The volume that nobody named, if there is one. */
export function anonymousVolume(volumes: LaminaRuntime["volumes"]): string | undefined {
  return volumes.list().find(({ anonymous }) => anonymous)?.name;
}

/** Whether a volume has what {@linkcode steps} wrote into it. */
export async function hasData(runtime: LaminaRuntime, volume: string): Promise<boolean> {
  try {
    return await Deno.readTextFile(join(runtime.volumes.inspect(volume).mountpoint, "file")) === text;
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND") || error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function writeData({ volumes }: LaminaRuntime, volume: string): Promise<void> {
  using file = await Deno.open(join(volumes.inspect(volume).mountpoint, "file"), {
    write: true,
    create: true,
    truncate: true,
  });
  await file.write(new TextEncoder().encode(text));
  await file.sync();
}

async function writeRoot(containers: LaminaRuntime["containers"], name: string): Promise<void> {
  const { rootfs } = await containers.inspect(name, { size: false }, operation);
  await Deno.writeTextFile(join(rootfs, "new"), text);
}

async function removeContainer(containers: LaminaRuntime["containers"], name: string): Promise<void> {
  await unless("NOT_FOUND", () => containers.remove(name, { force: true, volumes: true }, operation));
}

async function unless(code: "NOT_FOUND" | "ALREADY_EXISTS", body: () => Promise<unknown>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!isLaminaError(error, code)) throw error;
  }
}
