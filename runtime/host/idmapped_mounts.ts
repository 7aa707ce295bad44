/** Whether the kernel can map owners per mount. */
import { cFunctions, lastErrno } from "./libc.ts";

const kernel = cFunctions({
  mount_setattr: { name: "syscall", parameters: ["i64", "i32", "usize", "u32", "usize", "usize"], result: "i64" },
});

const SYS_MOUNT_SETATTR = 442n; // the same on every architecture
const ENOSYS = 38;

/** Whether mount_setattr(2) exists (Linux 5.12), asked with arguments that it must refuse. */
export function hasIdmappedMounts(): boolean {
  return kernel.mount_setattr(SYS_MOUNT_SETATTR, -1, 0n, 0, 0n, 0n) >= 0n || lastErrno() !== ENOSYS;
}
