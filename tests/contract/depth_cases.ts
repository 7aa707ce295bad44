/** Long chains of snapshots. */
import { assertEquals } from "@std/assert";
import type { ContractCase } from "./support/contract_case.ts";
import { assertSameTree, shell } from "./tree_cases.ts";
import { printTree } from "./support/tree_print.ts";

/** See the head of the file. */
export const depthCases: readonly ContractCase[] = [
  {
    name: "files and directories deleted and recreated over ten levels are what a plain directory has",
    async run(f) {
      const plain = `${f.scratch.path}/plain`;
      await Deno.mkdir(plain);
      for (let level = 0; level < 10; level++) {
        // Odd levels delete what even levels make; some names come back as another type.
        const script = level % 2 === 0
          ? `mkdir -p stay/deep flip; echo ${level} > stay/deep/f${level}; echo ${level} > flip/in; echo ${level} > file
             rm -rf turn; mkdir turn; echo ${level} > turn/${level}`
          : `rm -r flip file; rm -rf turn; echo ${level} > turn; echo ${level} > stay/odd${level}
             test ${level} -lt 5 || rm stay/deep/f$((${level} - 5))`;
        await shell(plain, script);
        await f.layer(`l${level}`, level === 0 ? undefined : `l${level - 1}`, (root) => shell(root, script).then());
        await assertSameTree(f, `l${level}`, plain);
      }
    },
  },
  {
    name: "a long chain of layers equals a flat copy all the way",
    async run(f) {
      const plain = `${f.scratch.path}/plain`;
      await Deno.mkdir(plain);
      const { levels = 128, emulated } = f.setup;
      const step = emulated ? 16 : 1;
      for (let level = 0; level < levels; level++) {
        const change = (root: string) => {
          rewrite(root, level);
          return Promise.resolve();
        };
        await change(plain);
        await f.layer(`l${level}`, level === 0 ? undefined : `l${level - 1}`, change);
        if (level % step === step - 1) await assertSameTree(f, `l${level}`, plain);
      }
    },
  },
  {
    name: "500 layers are mounted, for reading and for writing",
    needs: "overlay",
    async run(f) {
      await f.layer("l0", undefined, (root) => Deno.writeTextFile(`${root}/f0`, "0"));
      for (let level = 1; level < 500; level++) {
        const key = `making/${level}`;
        await f.prepare(key, `l${level - 1}`);
        // Written past the mount: 500 mounts are another test's business.
        const [mount] = await f.driver.mounts(key as never);
        const upper = mount!.options.find((option) => option.startsWith("upperdir="))!.slice("upperdir=".length);
        Deno.writeTextFileSync(`${upper}/f${level}`, String(level));
        await f.commit(`l${level}`, key);
      }
      await f.look("l499", (root) => assertEquals([...printTree(root).keys()].length, 501));
      await f.mounted(await f.prepare("work", "l499"), async (root) => {
        await Deno.writeTextFile(`${root}/f0`, "changed");
        assertEquals(await Deno.readTextFile(`${root}/f0`) + await Deno.readTextFile(`${root}/f499`), "changed499");
      });
    },
  },
];

/** One of a few edits, by level; every file is rewritten sooner or later. */
function rewrite(root: string, level: number): void {
  const dir = `${root}/d${level % 7}`;
  Deno.mkdirSync(dir, { recursive: true });
  Deno.writeTextFileSync(`${dir}/f${level % 11}`, `level ${level}`);
  Deno.writeTextFileSync(`${root}/every`, `level ${level}`);
  if (level % 5 === 3) Deno.chmodSync(dir, 0o700 + level % 8);
  if (level % 13 === 12) Deno.removeSync(`${root}/d${(level + 3) % 7}`, { recursive: true });
  if (level % 17 === 16) {
    Deno.removeSync(dir, { recursive: true });
    Deno.mkdirSync(dir);
  }
  if (level % 19 === 18) Deno.renameSync(`${dir}/f${level % 11}`, `${root}/moved${level}`);
}
