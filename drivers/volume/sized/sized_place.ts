/** A directory in which trees of enforced capacity are made: what its file system can do, and the backing of each kind. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { projectQuotaState } from "../../../runtime/host/project_quota.ts";
import { findProgram } from "../../../runtime/host/programs.ts";
import type { LayerEngine } from "../../storage/layer/engine.ts";
import { probeProjectQuota, ProjectLimits } from "../../storage/project_limits.ts";
import { BtrfsBacking, quotasAreOn, turnQuotasOn } from "./btrfs_backing.ts";
import { ImageBacking } from "./image_backing.ts";
import type { BackingFact, BackingName, SizedBacking } from "./port.ts";
import { QuotaBacking } from "./quota_backing.ts";
import { isThereSync } from "../../../runtime/host/is_there.ts";

/** A tree that is there already, with the limit that it should have. */
export interface KnownTree {
  readonly path: string;
  readonly backing: BackingName;
  readonly size_bytes: number;
}

/** The order of preference: the less between a file and the disk, the better. */
const PREFERRED: readonly BackingName[] = ["quota", "btrfs", "image"];

/** What whoever chooses cannot do without. */
export interface ChoiceNeeds {
  /** The number of files is limited, too. */
  readonly inodes?: boolean;
  /** It is a directory as it is: nothing is to be mounted. */
  readonly directory?: boolean;
}

/** See the head of the file. */
export class SizedPlace {
  readonly #image = new ImageBacking();
  readonly #btrfs = new BtrfsBacking();

  private constructor(
    readonly directory: string,
    readonly type: string,
    readonly facts: readonly BackingFact[],
    private readonly quota: QuotaBacking | undefined,
  ) {}

  /**
   * Looks at the file system of a directory and puts the limits of its trees in force.
   *
   * @param directory Absolute, existing; nobody else makes trees in it.
   * @param trees All trees in it that have a limit: project quotas that are none of theirs are taken away.
   */
  static async open(
    directory: string,
    engine: LayerEngine,
    trees: readonly KnownTree[],
  ): Promise<SizedPlace> {
    const { type } = fileSystemStatus(directory);
    const quotaState = type === "xfs" || type === "ext4" ? projectQuotaState(directory) : "off";
    const quota = probeProjectQuota(directory, "anybody");
    const isBtrfs = type === "btrfs";
    const counts = isBtrfs && await quotasAreOn(directory);
    const facts: BackingFact[] = [
      { backing: "quota", works: quota.enforced, why: quota.why },
      {
        backing: "btrfs",
        works: counts,
        why: !isBtrfs
          ? `this is ${type}`
          : counts
          ? "subvolumes with quota groups"
          : 'its quotas are off: "backing: btrfs" turns them on, for the whole file system',
      },
      imageFact(type),
    ];
    if (quotaState !== "enforced") return new SizedPlace(directory, type, facts, undefined);
    const limits = new ProjectLimits(directory);
    await limits.recover(
      trees.filter(({ backing }) => backing === "quota").map(({ path, size_bytes }) => ({
        directories: [path],
        key: path,
        limit_bytes: size_bytes,
      })),
    );
    return new SizedPlace(directory, type, facts, new QuotaBacking(directory, limits, engine));
  }

  /**
   * The backing of this name; `auto`: the best that works without changing the file system. Cheap.
   *
   * @throws `UNSUPPORTED` with all that was looked at and why it will not do.
   */
  async choose(
    wanted: BackingName | "auto",
    operation: Operation,
    needs: ChoiceNeeds = {},
  ): Promise<SizedBacking> {
    if (wanted !== "auto") {
      if (wanted === "btrfs" && this.type === "btrfs") await turnQuotasOn(this.directory, operation);
      return this.backing(wanted);
    }
    const facts = this.facts.map((fact) => withNeeds(fact, needs));
    const best = PREFERRED.find((name) => facts.some(({ backing, works }) => backing === name && works));
    if (best !== undefined) return this.backing(best);
    const why = facts.map((fact) => `${fact.backing}: ${fact.why}`).join("; ");
    throw new LaminaError("UNSUPPORTED", `Cannot enforce the size of anything in ${this.directory}: ${why}`);
  }

  /** The backing of a tree that exists, or that was asked for by name. @throws `UNSUPPORTED` with the reason. */
  backing(name: BackingName): SizedBacking {
    if (name === "image") return this.#image;
    if (name === "btrfs" && this.type === "btrfs") return this.#btrfs;
    // Asked for by name, ext4 will do: it holds all but processes of the host's root with CAP_SYS_RESOURCE.
    if (name === "quota" && this.quota !== undefined) return this.quota;
    const fact = this.facts.find(({ backing }) => backing === name)!;
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot enforce sizes in ${this.directory} by ${name === "quota" ? "project quotas" : "btrfs"}: ${fact.why}. ` +
        '"auto" takes what works there',
    );
  }
}

function withNeeds(fact: BackingFact, needs: ChoiceNeeds): BackingFact {
  if (needs.inodes && fact.backing === "btrfs") return { ...fact, works: false, why: "it cannot limit inodes" };
  if (needs.directory && fact.backing === "image") return { ...fact, works: false, why: "it would have to be mounted" };
  return fact;
}

function imageFact(type: string): BackingFact {
  const missing = ["mkfs.ext4", "resize2fs"].find((program) => findProgram(program) === undefined);
  const loops = isThereSync("/dev/loop-control");
  if (missing !== undefined) {
    return { backing: "image", works: false, why: `${missing} is missing. Install the package e2fsprogs` };
  }
  if (!loops) return { backing: "image", works: false, why: "this machine has no loop devices (modprobe loop)" };
  return { backing: "image", works: true, why: `files with a file system inside, on ${type}` };
}
