/** Volumes in the database. */
import type { Reader, Transaction } from "../store/store.ts";
import type { Volume } from "../core/specs/volume.ts";
import type { RootLayout } from "../core/root_layout.ts";

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

/** Every volume that exists for its users, by name. */
export function readyVolumeRows(reader: Reader): VolumeRow[] {
  return reader.all<VolumeRow>("SELECT * FROM volumes WHERE state = 'ready' ORDER BY name");
}

/** Names of the containers that use a volume. */
export function usersOfVolume(reader: Reader, name: string): string[] {
  return reader.all<{ name: string }>(
    `SELECT DISTINCT c.name FROM container_volumes v JOIN containers c ON c.id = v.container_id
     WHERE v.volume = ? ORDER BY c.name`,
    name,
  ).map((row) => row.name);
}

/** Users of all volumes: names of containers by name of volume. */
export function usersOfVolumes(reader: Reader): Map<string, string[]> {
  const users = new Map<string, string[]>();
  const rows = reader.all<{ volume: string; name: string }>(
    `SELECT DISTINCT v.volume, c.name FROM container_volumes v JOIN containers c ON c.id = v.container_id
     ORDER BY v.volume, c.name`,
  );
  for (const { volume, name } of rows) {
    const names = users.get(volume);
    if (names === undefined) users.set(volume, [name]);
    else names.push(name);
  }
  return users;
}

/** What a new row is made of. */
export type NewVolumeRow = Pick<VolumeRow, "name" | "driver"> & {
  readonly options: Record<string, string>;
  readonly labels: Record<string, string>;
  readonly anonymous: boolean;
};

/** Adds a volume. Nobody sees it before its state is `ready`. */
export function insertVolumeRow(tx: Transaction, volume: NewVolumeRow, state: VolumeRow["state"]): void {
  tx.run(
    "INSERT INTO volumes (name, driver, options, labels, anonymous, state, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    volume.name,
    volume.driver,
    JSON.stringify(volume.options),
    JSON.stringify(volume.labels),
    volume.anonymous ? 1 : 0,
    state,
    Date.now(),
  );
}

/** Moves a volume to another state. */
export function setVolumeState(tx: Transaction, name: string, state: VolumeRow["state"]): void {
  tx.run("UPDATE volumes SET state = ? WHERE name = ?", state, name);
}

/** Forgets a volume. Fails while a container refers to it. */
export function deleteVolumeRow(tx: Transaction, name: string): void {
  tx.run("DELETE FROM volumes WHERE name = ?", name);
}

/** The volume as the API shows it. */
export function volumeOfRow(row: VolumeRow, layout: RootLayout, usedBy: readonly string[]): Volume {
  return {
    name: row.name,
    driver: row.driver,
    options: JSON.parse(row.options),
    labels: JSON.parse(row.labels),
    mountpoint: layout.volumeData(row.name),
    anonymous: row.anonymous === 1,
    created_at: new Date(row.created_at_ms).toISOString(),
    used_by: [...usedBy],
  };
}
