/** The mount table of a crowded host. */
import { mountsBelow, parseMountInfo } from "../runtime/core/mountinfo.ts";
import { measured } from "./support/recorder.ts";

const line = (n: number) =>
  `${n + 100} 21 0:${n + 40} / /var/lib/lamina/containers/${n.toString(16).padStart(64, "0")}/rootfs rw,relatime ` +
  `shared:${n} - overlay overlay rw,lowerdir=/l/a:/l/b:/l/c:/l/d:/l/e:/l/f,upperdir=/l/${n}/fs,workdir=/l/${n}/work\n`;
const text = Array.from({ length: 5000 }, (_, n) => line(n)).join("");
const entries = parseMountInfo(text);
const some = entries[2500]!.target;

measured({
  name: "mountinfo, 5,000 lines parsed",
  group: "mountinfo",
  baseline: true,
  iterations: 60,
  run: () => parseMountInfo(text),
});
measured({
  name: "mountinfo, those below one of 5,000",
  group: "mountinfo",
  iterations: 60,
  run: () => mountsBelow(entries, some),
});
