/** The way of a container's root: asked for, mounted, unmounted, removed; beside bare mount(8) and umount(8). */
import { join } from "@std/path/posix";
import { commandOutput } from "../runtime/host/command.ts";
import { benchApi, benchDirectory } from "./support/bench_daemon.ts";
import { writeDeepImage } from "./support/deep_image.ts";
import { measured } from "./support/recorder.ts";

const api = benchApi();
const directory = benchDirectory();
let number = 0;

for (const depth of [6, 120]) {
  const layout = join(directory, `deep${depth}`);
  await writeDeepImage(layout, `deep:${depth}`, depth);
  await api.post(`/v1/images/import?path=${layout}&reference=deep:${depth}`);
}

interface BareRoot {
  readonly target: string;
  readonly options: string;
}

/** Directories for an overlay of `depth` layers, without Lamina. */
async function bareRoot(depth: number): Promise<BareRoot> {
  const base = join(directory, `bare${number++}`);
  const lowers = Array.from({ length: depth }, (_, index) => join(base, `l${index}`));
  for (const path of [...lowers, ...["upper", "work", "root"].map((name) => join(base, name))]) {
    await Deno.mkdir(path, { recursive: true });
  }
  // Short names: mount(8) passes at most a page of options.
  const options = `lowerdir=${lowers.map((_, index) => `l${index}`).join(":")},upperdir=upper,workdir=work`;
  return { target: base, options };
}

async function mountBare({ target, options }: BareRoot): Promise<void> {
  await commandOutput("mount", ["-t", "overlay", "overlay", "-o", options, "root"], { cwd: target });
}

async function unmountBare({ target }: BareRoot): Promise<void> {
  await commandOutput("umount", [join(target, "root")]);
}

const removeBare = ({ target }: BareRoot) => commandOutput("rm", ["-rf", "--", target]);

async function createAndMount(image: string): Promise<string> {
  const { id } = await api.post<{ id: string }>("/v1/containers?mount=true", { image });
  return id;
}

async function unmountAndRemove(id: string): Promise<void> {
  await api.post(`/v1/containers/${id}/unmount`);
  await api.delete(`/v1/containers/${id}`);
}

for (const depth of [6, 120]) {
  const group = `rootfs of ${depth} layers`;
  let bare: BareRoot | undefined;
  measured<BareRoot>({
    name: `mount(8), ${depth} layers`,
    group,
    baseline: true,
    iterations: 60,
    prepare: async () => bare ??= await bareRoot(depth),
    run: mountBare,
    finish: unmountBare,
  });
  let id = "";
  measured({
    name: `lamina asked for to mounted, ${depth} layers`,
    group,
    iterations: 60,
    run: async () => id = await createAndMount(`deep:${depth}`),
    finish: () => unmountAndRemove(id),
  });
  measured({
    name: `lamina whole cycle, ${depth} layers`,
    group,
    iterations: 60,
    run: async () => unmountAndRemove(await createAndMount(`deep:${depth}`)),
  });
  measured<BareRoot>({
    name: `mount(8) and umount(8), ${depth} layers`,
    group,
    iterations: 60,
    prepare: async () => bare ??= await bareRoot(depth),
    run: async (root) => {
      await mountBare(root);
      await unmountBare(root);
    },
  });
}

const crowd = Array.from({ length: 50 });
measured<BareRoot[]>({
  name: "mount(8), 50 at once",
  group: "50 roots at once",
  baseline: true,
  iterations: 8,
  prepare: () => Promise.all(crowd.map(() => bareRoot(6))),
  run: (roots) => Promise.all(roots.map(mountBare)),
  finish: async (roots) => {
    await Promise.all(roots.map(unmountBare));
    await Promise.all(roots.map(removeBare));
  },
});
let ids: string[] = [];
measured({
  name: "lamina asked for to mounted, 50 at once",
  group: "50 roots at once",
  iterations: 8,
  run: async () => ids = await Promise.all(crowd.map(() => createAndMount("deep:6"))),
  finish: () => Promise.all(ids.map(unmountAndRemove)),
});
