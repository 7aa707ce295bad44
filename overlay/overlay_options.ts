/**
 * Which kernel feature is used, and why: from what was probed and what was asked to mount options and lines for
 * `lamina info`. Pure. The long form of each reason is in the README of this folder.
 */
import { LaminaError } from "../runtime/core/errors.ts";
import { refuseUnknownOptions } from "../drivers/storage/driver_factory.ts";

/** Features that are only reported; each was tried with a real mount. */
export const OVERLAY_FEATURES = [
  "metacopy",
  "redirect_dir",
  "index",
  "xino",
  "nfs_export",
  "volatile",
  "userxattr",
] as const;
/** One of {@linkcode OVERLAY_FEATURES}. */
export type OverlayFeature = typeof OVERLAY_FEATURES[number];

/** What a probe found on a host where overlay mounts work. */
export interface OverlayFacts {
  /** Type of the file system under the driver's directory. */
  readonly backing: string;
  /** Listings tell what each entry is. */
  readonly dType: boolean;
  /** This process is in a user namespace of its own: `trusted.*` attributes are out of reach. */
  readonly userNamespace: boolean;
  /** Features that can be switched on. */
  readonly features: ReadonlySet<OverlayFeature>;
  /** Options of {@linkcode WANTED_OPTIONS} that the kernel knows; giving it another would fail the mount. */
  readonly known: ReadonlySet<string>;
  /** A zero-size file with the attribute `overlay.whiteout` hides a name, as a 0/0 device always does. */
  readonly xattrWhiteouts: boolean;
  /** The kernel has the system calls for idmapped mounts. */
  readonly idmappedMounts: boolean;
}

/** What `--storage-opt` may say. */
export interface OverlaySettings {
  readonly index: "off" | "on";
  readonly xino: "off" | "on" | "auto";
  /** Keep control data in `user.overlay.*`; always so in a user namespace. */
  readonly userxattr: boolean;
  /** `auto`: the kernel, and in a user namespace where it refuses, fuse-overlayfs. */
  readonly mountProgram: "auto" | "kernel" | "fuse-overlayfs";
}

/** How the driver mounts. */
export interface OverlayDecision {
  /** Form of opaque markers and other control attributes on disk. */
  readonly form: "overlay" | "overlay-user";
  /** Options of every mount beside the directories. */
  readonly options: readonly string[];
  /** For `lamina info`. */
  readonly status: Readonly<Record<string, string>>;
}

/** All options that may be given besides `userxattr`; the probe asks the kernel for each. */
export const WANTED_OPTIONS: readonly string[] = [
  "redirect_dir=nofollow",
  "metacopy=off",
  "index=off",
  "index=on",
  "xino=off",
  "xino=on",
  "xino=auto",
  "nfs_export=off",
  "uuid=null",
];

const reasons: Readonly<Record<OverlayFeature | "uuid", string>> = {
  metacopy: "a layer must hold whole files, or its diff and export would miss their content",
  redirect_dir: "a renamed directory is copied, so that every layer can be read without the mounts it was made in",
  index: "layers are shared by many mounts; without an index no mount refuses a layer that another has seen",
  xino: "all layers are on one file system, where inode numbers are unique and constant without it",
  nfs_export: "needs the index, and a rootfs is not exported",
  volatile: "data that a container has synced must survive a power cut",
  userxattr: "",
  uuid: "nothing is written into a layer but what its container wrote",
};

const KERNEL_OPTIONS = ["overlay.index", "overlay.xino", "overlay.userxattr"];
const KNOWN_OPTIONS = [...KERNEL_OPTIONS, "overlay.mount_program"];

/**
 * The settings in `--storage-opt` (`overlay.index=on`, `overlay.xino=auto`, `overlay.userxattr=true`).
 *
 * @throws `INVALID_ARGUMENT` for an unknown option or value.
 */
export function parseOverlaySettings(options: Readonly<Record<string, string>>): OverlaySettings {
  refuseUnknownOptions("overlay", options, KNOWN_OPTIONS);
  const mountProgram = oneOf("overlay.mount_program", options["overlay.mount_program"] ?? "auto", [
    "auto",
    "kernel",
    "fuse-overlayfs",
  ]);
  const kernelOption = KERNEL_OPTIONS.find((option) => options[option] !== undefined);
  if (mountProgram === "fuse-overlayfs" && kernelOption !== undefined) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `The storage option ${kernelOption} is for the kernel's overlay, overlay.mount_program=fuse-overlayfs does ` +
        "without it: leave one of them out",
    );
  }
  return {
    mountProgram,
    index: oneOf("overlay.index", options["overlay.index"] ?? "off", ["off", "on"]),
    xino: oneOf("overlay.xino", options["overlay.xino"] ?? "off", ["off", "on", "auto"]),
    userxattr: oneOf("overlay.userxattr", options["overlay.userxattr"] ?? "false", ["false", "true"]) === "true",
  };
}

/**
 * Decides. Every option is given explicitly where the kernel knows it, because its default is a module parameter that
 * a distribution or an administrator may have changed.
 *
 * @throws `UNSUPPORTED` when a setting asks for what this kernel cannot do.
 */
export function decideOverlay(facts: OverlayFacts, settings: OverlaySettings): OverlayDecision {
  const userxattr = facts.userNamespace || settings.userxattr;
  if (userxattr) requireFeature(facts, "userxattr", "overlay.userxattr=true");
  if (settings.index === "on") requireFeature(facts, "index", "overlay.index=on");
  if (settings.xino === "on") requireFeature(facts, "xino", "overlay.xino=on");
  const wanted = [
    "redirect_dir=nofollow",
    "metacopy=off",
    `index=${settings.index}`,
    `xino=${settings.xino}`,
    "nfs_export=off",
    "uuid=null",
  ];
  const options = wanted.filter((option) => facts.known.has(option));
  if (userxattr) options.push("userxattr");
  return {
    form: userxattr ? "overlay-user" : "overlay",
    options,
    status: {
      backing_filesystem: facts.backing,
      d_type: yes(facts.dType),
      ...Object.fromEntries(
        (["metacopy", "redirect_dir", "index", "xino", "nfs_export"] as const).map((name) => [
          name,
          decided(facts, name, options),
        ]),
      ),
      volatile: `never used (${available(facts, "volatile")}): ${reasons.volatile}`,
      uuid: options.includes("uuid=null") ? `null: ${reasons.uuid}` : "the kernel has no such option and writes none",
      userxattr: userxattr
        ? `on: ${facts.userNamespace ? "trusted.* attributes need the first user namespace" : "asked for"}`
        : `off (${available(facts, "userxattr")}): trusted.* attributes are out of a container's reach`,
      whiteouts: `0/0 character devices (the kernel ${
        facts.xattrWhiteouts ? "also knows" : "does not know"
      } the attribute form)`,
      idmapped_mounts: facts.idmappedMounts ? "the kernel has them; not used" : "the kernel does not have them",
      mount_options: options.join(","),
    },
  };
}

function decided(facts: OverlayFacts, name: OverlayFeature, options: readonly string[]): string {
  const option = options.find((text) => text.startsWith(`${name}=`));
  if (option === undefined) return "the kernel has no such option";
  const value = option.slice(name.length + 1);
  const why = value === "on" || value === "auto" ? "asked for" : reasons[name];
  return `${value} (${available(facts, name)}): ${why}`;
}

function available(facts: OverlayFacts, name: OverlayFeature): string {
  return facts.features.has(name) ? "possible here" : "not possible here";
}

function requireFeature(facts: OverlayFacts, feature: OverlayFeature, option: string): void {
  if (facts.features.has(feature)) return;
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot use overlay with ${option}: this kernel refuses ${feature} on ${facts.backing}. ` +
      (facts.userNamespace ? "Rootless overlay needs Linux 5.11 or newer" : "Leave that option out"),
  );
}

function oneOf<const V extends string>(option: string, value: string, allowed: readonly V[]): V {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Invalid storage option ${option}=${value.slice(0, 80)}: it is ${allowed.join(", ")}`,
  );
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}
