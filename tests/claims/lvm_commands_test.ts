import { assertEquals, assertThrows } from "@std/assert";
import { parseVolumes } from "../../drivers/volume/provisioner/lvm_commands.ts";

Deno.test("what lvs reports of pools, volumes and inactive volumes", () => {
  const text = `{"report":[{"lv":[
    {"lv_name":"pool","lv_size":"100663296","lv_tags":"","pool_lv":"","data_percent":"12.50","lv_path":"","segtype":"thin-pool"},
    {"lv_name":"pvc-1","lv_size":"33554432","lv_tags":"lamina,lamina.making","pool_lv":"pool","data_percent":"","lv_path":"/dev/vg/pvc-1","segtype":"thin"}
  ]}],"log":[]}`;
  assertEquals(parseVolumes(text), [
    { name: "pool", size_bytes: 100663296, tags: [], pool: "", used_bytes: 12582912, path: "", is_pool: true },
    {
      name: "pvc-1",
      size_bytes: 33554432,
      tags: ["lamina", "lamina.making"],
      pool: "pool",
      used_bytes: 0,
      path: "/dev/vg/pvc-1",
      is_pool: false,
    },
  ]);
  assertEquals(parseVolumes('{"report":[{"lv":[]}]}'), []);
  assertThrows(
    () => parseVolumes('{"report":[{"lv":[{"lv_name":"x"}]}]}'),
    Error,
    "lvs reports what nobody understands",
  );
});
