/** Volumes in the database. */
import type { NamedVolume } from "../../drivers/volume/named/volume_driver.ts";
import { LaminaError } from "../core/errors.ts";
import type { Reader, Transaction } from "../store/store.ts";

/** A row of the table `volumes`. */
export interface VolumeRow {
  readonly name: string;
  readonly driver: string;
  /** JSON object. */
  readonly options: string;
  /** JSON object. */
  readonly labels: string;
  readonly anonymous: number;
  readonly state: "creating" | "ready" | "removing";
  readonly created_at_ms: number;
}

/** The volume of that name, whatever its state. */
export function findVolumeRow(reader: Reader, name: string): VolumeRow | undefined {
  return reader.get<VolumeRow>("SELECT * FROM volumes WHERE name = ?", name);
}

/**
 * The volume of that name, where it exists for its users.
 *
 * @throws `NOT_FOUND`
 */
export function volumeRow(reader: Reader, name: string): VolumeRow {
  const row = findVolumeRow(reader, name);
  if (row?.state === "ready") return row;
  throw new LaminaError(
    "NOT_FOUND",
    `There is no volume ${JSON.stringify(name.slice(0, 80))}. "lamina volume ls" shows those that exist`,
    { details: { volume: name.slice(0, 80) } },
  );
}

/** Every volume that exists for its users, by name. */
export function readyVolumeRows(reader: Reader): VolumeRow[] {
  return reader.all<VolumeRow>("SELECT * FROM volumes WHERE state = 'ready' ORDER BY name");
}

/** A row as the volume's driver sees it. */
export function namedVolume(row: VolumeRow): NamedVolume {
  return { name: row.name, options: JSON.parse(row.options) };
}

const USERS = `
  SELECT v.volume, c.name AS user FROM container_volumes v JOIN containers c ON c.id = v.container_id
  UNION
  SELECT volume, kind || ' ' || id FROM volume_users`;

/** Names of the containers, and of the other users on record, that use a volume. */
export function usersOfVolume(reader: Reader, name: string): string[] {
  return reader.all<{ user: string }>(
    `SELECT user FROM (${USERS}) WHERE volume = ? ORDER BY user`,
    name,
  ).map((row) => row.user);
}

/** The same of all volumes, by name of volume. */
export function usersOfVolumes(reader: Reader): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { volume, user } of reader.all<{ volume: string; user: string }>(`${USERS} ORDER BY volume, user`)) {
    const names = users.get(volume);
    if (names === undefined) users.set(volume, [user]);
    else names.push(user);
  }
  return users;
}

/** Names of the containers that use a volume and whose root is, or should be, mounted. */
export function mountedUsersOfVolume(reader: Reader, name: string): string[] {
  return reader.all<{ name: string }>(
    `SELECT DISTINCT c.name FROM container_volumes v JOIN containers c ON c.id = v.container_id
     WHERE v.volume = ? AND c.mount_wanted = 1 ORDER BY c.name`,
    name,
  ).map((row) => row.name);
}

/** What a new row is made of. */
export type NewVolumeRow = Pick<VolumeRow, "name" | "driver"> & {
  readonly options: Record<string, string>;
  readonly labels: Record<string, string>;
  readonly anonymous: boolean;
};

/** Adds a volume. Nobody sees it before its state is `ready`. */
export function insertVolumeRow(
  tx: Transaction,
  volume: NewVolumeRow,
  state: VolumeRow["state"],
  created_at_ms = Date.now(),
): void {
  tx.run(
    "INSERT INTO volumes (name, driver, options, labels, anonymous, state, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    volume.name,
    volume.driver,
    JSON.stringify(volume.options),
    JSON.stringify(volume.labels),
    volume.anonymous ? 1 : 0,
    state,
    created_at_ms,
  );
}

/** Moves a volume to another state. */
export function setVolumeState(tx: Transaction, name: string, state: VolumeRow["state"]): void {
  tx.run("UPDATE volumes SET state = ? WHERE name = ?", state, name);
}

/** Forgets a volume. Fails while anybody refers to it. */
export function deleteVolumeRow(tx: Transaction, name: string): void {
  tx.run("DELETE FROM volumes WHERE name = ?", name);
}

/**
 * Refuses to take an existing volume for the one that is asked for.
 *
 * @throws `CONFLICT`: it is being removed, or has another driver or other options.
 */
export function refuseOther(existing: VolumeRow, wanted: Pick<NewVolumeRow, "name" | "driver" | "options">): void {
  const refuse = (why: string) =>
    new LaminaError("CONFLICT", `Cannot create volume "${wanted.name}": ${why}`, {
      details: { volume: wanted.name },
    });
  if (existing.state !== "ready") {
    throw refuse('one of that name is being removed. "lamina check --repair" finishes that');
  }
  if (existing.driver !== wanted.driver) {
    throw refuse(`it exists with driver "${existing.driver}". Use another name, or ask for the same`);
  }
  const found: Record<string, string> = JSON.parse(existing.options);
  const differing = [...new Set([...Object.keys(found), ...Object.keys(wanted.options)])]
    .filter((key) => found[key] !== wanted.options[key]);
  // Values may be secret.
  if (differing.length > 0) {
    throw refuse(
      `it exists with other options (${differing.slice(0, 10).join(", ")}). Use another name, or ask for the same`,
    );
  }
}
