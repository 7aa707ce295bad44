/** Containers in the database. */
import { LaminaError } from "../core/errors.ts";
import type { ContainerCreate } from "../core/specs/container.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import type { SnapshotKey } from "../core/ids.ts";
import type { Reader, Transaction } from "../store/store.ts";

/** What a container was asked to be, with its defaults filled in and all of its mounts named. */
export type ContainerSpec = Omit<ContainerCreate, "name" | "mounts" | "volumes"> & {
  readonly mounts: readonly ContainerMount[];
};

/** A row of the table `containers`. */
export interface ContainerRow {
  readonly id: string;
  readonly name: string;
  readonly image_id: string;
  /** {@linkcode ContainerSpec} as JSON. */
  readonly spec: string;
  readonly state: "creating" | "ready" | "removing";
  /** 1: the root should be mounted. Whether it is, the kernel says. */
  readonly mount_wanted: number;
  readonly created_at_ms: number;
}

/**
 * Label of a container that Lamina made for a pod: the pod's uid. Whoever brings the pod's volumes up mounts it, after
 * each start too.
 */
export const POD_LABEL = "lamina.dev/pod-uid";

/** The spec in a row. What an earlier version did not know yet has its default. */
export function specOf(row: ContainerRow): ContainerSpec {
  const spec = JSON.parse(row.spec);
  if (spec.engine !== undefined) return spec;
  const mounts = spec.mounts.map((mount: ContainerMount) => ({ ...EARLIER_MOUNTS[mount.type], ...mount }));
  return { volumes_from: [], config: { env: [] }, engine: {}, ...spec, mounts };
}

const EARLIER_MOUNTS: Readonly<Record<string, Partial<ContainerMount>>> = {
  bind: { propagation: "rprivate", recursive: "enabled", from: "request" },
  volume: { no_copy: true, anonymous: false, from: "request" },
  tmpfs: { options: [], from: "request" },
};

/** Key of a container's RW layer in the storage driver. */
export function rwLayerKey(id: string): SnapshotKey {
  return `container/${id}` as SnapshotKey;
}

/** The container id in the key of an RW layer, if it is one. */
export function containerOfKey(key: string): string | undefined {
  return /^container\/([0-9a-f]{64})$/.exec(key)?.[1];
}

/** The container of that id, whatever its state. */
export function findContainerRow(reader: Reader, id: string): ContainerRow | undefined {
  return reader.get<ContainerRow>("SELECT * FROM containers WHERE id = ?", id);
}

/** Every container that exists for its users, oldest first. */
export function readyContainerRows(reader: Reader): ContainerRow[] {
  return reader.all<ContainerRow>("SELECT * FROM containers WHERE state = 'ready' ORDER BY created_at_ms, id");
}

/**
 * The container that `text` means: a name, an id, or a unique prefix of an id.
 *
 * @throws `NOT_FOUND`; `CONFLICT` when several ids begin so.
 */
export function lookUpContainer(reader: Reader, text: string): ContainerRow {
  const named = reader.get<ContainerRow>("SELECT * FROM containers WHERE name = ? AND state = 'ready'", text);
  if (named !== undefined) return named;
  if (/^[0-9a-f]{1,64}$/.test(text)) {
    // "g" follows every hexadecimal digit.
    const found = reader.all<ContainerRow>(
      "SELECT * FROM containers WHERE id >= ? AND id < ? AND state = 'ready' LIMIT 2",
      text,
      `${text}g`,
    );
    if (found.length === 1) return found[0]!;
    if (found.length > 1) {
      throw new LaminaError("CONFLICT", `Several containers have an id that begins with "${text}". Give more digits`);
    }
  }
  const shown = JSON.stringify(text.slice(0, 80));
  throw new LaminaError("NOT_FOUND", `There is no container ${shown}. "lamina container ls" shows those that exist`, {
    details: { container: text.slice(0, 80) },
  });
}

/** Adds a container together with the volumes and the images that it mounts. */
export function insertContainer(
  tx: Transaction,
  container: { id: string; name: string; imageId: string; spec: ContainerSpec; mountWanted: boolean },
): void {
  tx.run(
    `INSERT INTO containers (id, name, image_id, spec, state, mount_wanted, created_at_ms)
     VALUES (?, ?, ?, ?, 'ready', ?, ?)`,
    container.id,
    container.name,
    container.imageId,
    JSON.stringify(container.spec),
    container.mountWanted ? 1 : 0,
    Date.now(),
  );
  for (const mount of container.spec.mounts) {
    if (mount.type === "image") {
      tx.run(
        "INSERT OR IGNORE INTO container_images (container_id, image_id) VALUES (?, ?)",
        container.id,
        mount.image_id,
      );
    }
    if (mount.type !== "volume") continue;
    tx.run(
      "INSERT INTO container_volumes (container_id, target, volume) VALUES (?, ?, ?)",
      container.id,
      mount.target,
      mount.source,
    );
  }
}

/** Notes whether the root should be mounted. */
export function setMountWanted(tx: Transaction, id: string, wanted: boolean): void {
  tx.run("UPDATE containers SET mount_wanted = ? WHERE id = ?", wanted ? 1 : 0, id);
}

/** Names of the volumes that a spec mentions, each once. */
export function volumesOf(mounts: readonly ContainerMount[]): string[] {
  return [...new Set(mounts.flatMap((mount) => mount.type === "volume" ? [mount.source as string] : []))];
}
