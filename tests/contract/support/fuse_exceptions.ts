/** What fuse-overlayfs 1.10, the one of Debian 12, does wrong, by sentences of the contract. */
export const FUSE_OVERLAY_EXCEPTIONS: Readonly<Record<string, string>> = {
  "renamed files and directories arrive whole, also those of the parent":
    "fuse-overlayfs shows what a layer has deleted again while the directory that is made anew stays mounted",
};
