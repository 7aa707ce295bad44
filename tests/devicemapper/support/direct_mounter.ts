/** Mounts everything by system calls: a process for each mount takes the guest fifty milliseconds. */
import { mountApiSupport } from "../../../runtime/host/mount_api.ts";
import { mountNow, unmountBySystemCall } from "../../../runtime/host/mount_calls.ts";
import { LibcMounter } from "../../../runtime/host/libc_mounter.ts";
import { unmountError } from "../../../runtime/host/mount_errors.ts";
import { ErrnoError } from "../../../runtime/host/libc.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";

const support = mountApiSupport();

const blocking: Mounter = {
  name: "libc",
  mount(mounts) {
    for (const mount of mounts) {
      const { error } = mountNow(mount, mount.target, support);
      if (error !== undefined) return Promise.reject(error);
    }
    return Promise.resolve();
  },
  async unmount(targets, { lazy }) {
    for (const target of targets) {
      try {
        await unmountBySystemCall(target, lazy === true);
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
        throw unmountError(target, { errno: error.errno, cause: error }, []);
      }
    }
  },
};

/** See the head of the file. */
export const directMounter: Mounter = new LibcMounter(blocking, support);
