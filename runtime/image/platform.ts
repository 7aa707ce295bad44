/** Platforms of images: `os/architecture[/variant]`, in the words of the OCI specification (Go's). */
import { LaminaError } from "../core/errors.ts";

/** Where an image runs. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** `v7`, `v8`, …; absent: the architecture's usual one. */
  readonly variant?: string;
}

const partPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** Other programs' names of the same architectures. */
const architectureAliases: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  aarch64: { architecture: "arm64" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
  i386: { architecture: "386" },
  i686: { architecture: "386" },
};

/**
 * Parses what a caller asks for.
 *
 * @throws `INVALID_ARGUMENT` when it is not `os/architecture[/variant]`.
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  if (parts.length < 2 || parts.length > 3 || !parts.every((part) => partPattern.test(part))) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Invalid platform ${
        JSON.stringify(text.slice(0, 80))
      }: it is os/architecture[/variant], e.g. linux/amd64 or linux/arm/v7`,
    );
  }
  return normalizePlatform({ os: parts[0]!, architecture: parts[1]!, variant: parts[2] });
}

/** The same platform in the specification's spelling; the variants that go without saying are dropped. */
export function normalizePlatform(platform: Platform): Platform {
  const alias = architectureAliases[platform.architecture.toLowerCase()];
  const architecture = alias?.architecture ?? platform.architecture.toLowerCase();
  const variant = (platform.variant || alias?.variant || "").toLowerCase();
  const implied = (architecture === "arm64" && (variant === "v8" || variant === "8")) ||
    (architecture === "amd64" && variant === "v1");
  const os = platform.os.toLowerCase();
  if (variant === "" || implied) return { os, architecture };
  return { os, architecture, variant: /^[0-9]/.test(variant) ? `v${variant}` : variant };
}

/** The text form; parsing it gives an equal platform. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalizePlatform(platform);
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** The platform of this process. Images are Linux images, whatever the host. */
export function machinePlatform(): Platform {
  return { os: "linux", architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64" };
}

/**
 * How well an image of platform `offered` runs where `wanted` is asked for: 0 not at all, higher is better.
 * A lower variant of the same architecture runs on a higher one (arm v6 on v7, amd64 v1 on v3).
 */
export function platformFit(wanted: Platform, offered: Platform): number {
  const want = normalizePlatform(wanted);
  const offer = normalizePlatform(offered);
  if (want.os !== offer.os || want.architecture !== offer.architecture) return 0;
  const wantLevel = variantLevel(want);
  const offerLevel = variantLevel(offer);
  if (wantLevel === undefined || offerLevel === undefined) return want.variant === offer.variant ? 100 : 0;
  return offerLevel <= wantLevel ? 100 - (wantLevel - offerLevel) : 0;
}

/** Whether `offered` runs at all where `wanted` is asked for. */
export function platformRuns(wanted: Platform, offered: Platform): boolean {
  return platformFit(wanted, offered) > 0;
}

function variantLevel({ architecture, variant }: Platform): number | undefined {
  // What an image without a variant was built for, as the peers assume it.
  const usual: Record<string, number> = { arm: 7, arm64: 8, amd64: 1 };
  if (variant === undefined) return usual[architecture] ?? 0;
  const level = /^v([0-9]{1,2})$/.exec(variant)?.[1];
  return level === undefined ? undefined : Number(level);
}
