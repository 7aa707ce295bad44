import { assertEquals } from "@std/assert";
import { isNondistributable, layerCompression } from "../../runtime/image/media_types.ts";

Deno.test("layerCompression knows the layers of OCI and Docker, and no others", () => {
  const cases: [string, string | undefined][] = [
    ["application/vnd.oci.image.layer.v1.tar", "auto"],
    ["application/vnd.oci.image.layer.v1.tar+gzip", "auto"],
    ["application/vnd.oci.image.layer.v1.tar+zstd", "zstd"],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar", "auto"],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "auto"],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "zstd"],
    ["application/vnd.docker.image.rootfs.diff.tar", "auto"],
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", "auto"],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "auto"],
    ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", undefined],
    ["application/vnd.oci.image.layer.v1.squashfs", undefined],
    ["application/vnd.oci.image.layer.v1.tar+xz", undefined],
    ["text/plain", undefined],
    ["", undefined],
  ];
  for (const [type, expected] of cases) assertEquals(layerCompression(type), expected as never, type);
});

Deno.test("isNondistributable tells layers that stay at home", () => {
  assertEquals(isNondistributable("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"), true);
  assertEquals(isNondistributable("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), true);
  assertEquals(isNondistributable("application/vnd.oci.image.layer.v1.tar"), false);
});
