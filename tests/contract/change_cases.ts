/** What a snapshot changed, as a list: the same on every driver. */
import { assertEquals } from "@std/assert";
import type { ContractCase } from "./support/contract_case.ts";
import { shell } from "./tree_cases.ts";

/** See the head of the file. */
export const changeCases: readonly ContractCase[] = [
  {
    name: "a snapshot that nobody wrote to has no changes",
    async run(f) {
      await f.prepare("base-to-be");
      assertEquals(await f.changes("base-to-be"), []);
      await f.edit("base-to-be", (root) => shell(root, "mkdir -p a/b; echo x > a/b/c; chmod 1777 .").then());
      await f.commit("base", "base-to-be");
      await f.prepare("work", "base");
      await f.edit("work", (root) => shell(root, "find . > /dev/null; cat a/b/c > /dev/null").then());
      assertEquals(await f.changes("work"), []);
      await f.view("view", "base");
      assertEquals(await f.changes("view"), []);
    },
  },
  {
    name: "changes without a parent are all that is there",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "mkdir d; echo x > d/f; ln -s f d/l; echo y > a").then());
      assertEquals(await f.changes("base"), ["A /a", "A /d", "A /d/f", "A /d/l"]);
    },
  },
  {
    name: "added, modified and deleted names are listed, sorted, with the directories they are in",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) =>
          shell(
            root,
            "mkdir -p etc/app gone/deep same; echo 1 > etc/conf; echo 2 > etc/app/x; echo 3 > gone/deep/y; echo 4 > same/z",
          )
            .then(),
      );
      await f.prepare("work", "base");
      await f.edit(
        "work",
        (root) =>
          shell(
            root,
            "echo more >> etc/conf; rm etc/app/x; rm -r gone; mkdir -p new/dir; echo n > new/dir/n; ln -s conf etc/link",
          )
            .then(),
      );
      assertEquals(await f.changes("work"), [
        "C /etc",
        "C /etc/app",
        "D /etc/app/x",
        "C /etc/conf",
        "A /etc/link",
        "D /gone",
        "A /new",
        "A /new/dir",
        "A /new/dir/n",
      ]);
      await f.commit("layer", "work");
      assertEquals((await f.changes("layer")).length, 9);
    },
  },
  {
    name: "an edit of the same size within the same second is a change",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "echo one > file; echo one > kept").then());
      await f.prepare("work", "base");
      await f.edit(
        "work",
        (root) => shell(root, `t=$(stat -c %y file | cut -d. -f1); echo two > file; touch -d "$t.5" file`).then(),
      );
      assertEquals(await f.changes("work"), ["C /file"]);
    },
  },
  {
    name: "an edit that leaves size and times as they were is a change",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) =>
          shell(root, "echo one > file; cp file kept; touch -d '2020-01-02 03:04:05.678901234' file kept").then(),
      );
      await f.prepare("work", "base");
      await f.edit(
        "work",
        (root) => shell(root, `t=$(stat -c %y file); echo two > file; touch -d "$t" file`).then(),
      );
      assertEquals(await f.changes("work"), ["C /file"]);
      await f.commit("layer", "work");
      assertEquals(await f.changes("layer"), ["C /file"]);
    },
  },
  {
    name: "changes of mode, owner and attributes alone are changes",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "touch mode owner attr none; mkdir dir; echo x > dir/inside").then(),
      );
      await f.prepare("work", "base");
      await f.edit(
        "work",
        (root) => shell(root, "chmod 600 mode; chown 1:1 owner; setfattr -n user.a -v b attr; chmod 700 dir").then(),
      );
      assertEquals(await f.changes("work"), ["C /attr", "C /dir", "C /mode", "C /owner"]);
    },
  },
  {
    name: "a file deleted and made again with another content is modified; with another type it is replaced",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "echo 1 > file; mkdir dir; echo 2 > dir/a; echo 3 > dir/b").then(),
      );
      await f.prepare("work", "base");
      await f.edit(
        "work",
        (root) =>
          shell(root, "rm file; echo other > file; rm -r dir; mkdir dir; echo 4 > dir/b; echo 5 > dir/c").then(),
      );
      assertEquals(await f.changes("work"), ["C /dir", "D /dir/a", "C /dir/b", "A /dir/c", "C /file"]);
    },
  },
  {
    name: "a renamed directory of the parent is a deletion and an addition of all it holds",
    async run(f) {
      await f.layer(
        "base",
        undefined,
        (root) => shell(root, "mkdir -p old/sub; echo 1 > old/sub/f; echo 2 > old/g").then(),
      );
      await f.prepare("work", "base");
      await f.edit("work", (root) => shell(root, "mv old new").then());
      assertEquals(await f.changes("work"), ["A /new", "A /new/g", "A /new/sub", "A /new/sub/f", "D /old"]);
    },
  },
  {
    name: "what was added and deleted again in the same snapshot is no change of its own",
    async run(f) {
      await f.layer("base", undefined, (root) => shell(root, "mkdir d; echo 1 > d/f").then());
      await f.prepare("work", "base");
      await f.edit("work", (root) => shell(root, "echo x > d/tmp; rm d/tmp; mkdir t; rmdir t").then());
      assertEquals((await f.changes("work")).filter((line) => line !== "C /d"), []);
    },
  },
];
