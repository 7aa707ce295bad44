import { assertEquals } from "@std/assert";
import {
  lvmDeviceName,
  parsePoolStatus,
  parsePoolTable,
  parseThinList,
} from "../../drivers/storage/devicemapper/pool_text.ts";

Deno.test("the status of a healthy pool is read", () => {
  assertEquals(
    parsePoolStatus("7 419/4096 17/14843 - rw discard_passdown queue_if_no_space - 1024 "),
    {
      transactionId: 7,
      usedMetadataBlocks: 419,
      totalMetadataBlocks: 4096,
      usedDataBlocks: 17,
      totalDataBlocks: 14843,
      mode: "rw",
      needsCheck: false,
    },
  );
});

Deno.test("a held metadata root, a full pool and one that needs a check are told apart", () => {
  const held = parsePoolStatus("0 10/4096 17/14843 123 rw discard_passdown error_if_no_space - 0");
  assertEquals(typeof held === "object" && held.mode, "rw");
  const full = parsePoolStatus("0 10/4096 14843/14843 - out_of_data_space no_discard_passdown error_if_no_space - 0");
  assertEquals(typeof full === "object" && full.mode, "out_of_data_space");
  const broken = parsePoolStatus("0 10/4096 17/14843 - ro discard_passdown error_if_no_space needs_check 0");
  assertEquals(typeof broken === "object" && [broken.mode, broken.needsCheck], ["ro", true]);
});

Deno.test("a pool that the kernel has given up is failed; anything else is unknown", () => {
  assertEquals(parsePoolStatus("Fail"), "failed");
  assertEquals(parsePoolStatus("Error"), "failed");
  for (const text of ["", "0", "0 1/2", "x 1/2 3/4 - rw", "0 1/2 3/4 - resting"]) {
    assertEquals(parsePoolStatus(text), undefined);
  }
});

Deno.test("the table of a pool names its devices, its blocks and its features", () => {
  assertEquals(parsePoolTable("253:0 253:1 128 1024 2 skip_block_zeroing error_if_no_space "), {
    metadata: "253:0",
    data: "253:1",
    blockSectors: 128,
    features: ["skip_block_zeroing", "error_if_no_space"],
  });
  assertEquals(parsePoolTable(""), undefined);
});

Deno.test("a list of thin devices is numbers, whatever else is printed", () => {
  assertEquals(parseThinList("  1\n 16777215 \n\nDEV\n12\n"), [1, 16777215, 12]);
});

Deno.test("names of LVM volumes double their hyphens", () => {
  assertEquals(lvmDeviceName("my-group", "thin-pool"), "my--group-thin--pool");
});
