/**
 * Named points at which a test can kill the process, to prove what the journal promises. Nothing happens unless
 * `LAMINA_FAULT=name` (or `name:N` for the N-th pass, or a comma-separated list) is in the environment.
 */

/** Every fault point, in the order in which the operations pass them. The crash tests visit each. */
export const FAULT_POINTS = [
  "import.begun",
  "import.layer_unpacked",
  "import.layer_synced",
  "import.layer_committed",
  "import.before_image_row",
  "import.image_row",
  "snapshot.directory_made",
  "snapshot.row_written",
  "snapshot.commit_row",
  "snapshot.remove_marked",
  "snapshot.remove_renamed",
  "container.create_begun",
  "container.volumes_made",
  "container.copy_up_staged",
  "container.copy_up_complete",
  "container.copy_up_moved",
  "container.copied_up",
  "container.prepared",
  "container.create_finished",
  "container.mount_recorded",
  "container.root_mounted",
  "container.volumes_mounted",
  "container.unmount_recorded",
  "container.unmounted",
  "container.remove_begun",
  "container.remove_unmounted",
  "container.remove_snapshot_gone",
  "container.remove_finished",
  "commit.begun",
  "commit.layer_applied",
  "commit.finished",
  "image.remove_begun",
  "image.remove_row_gone",
  "image.remove_layers_gone",
  "volume.create_begun",
  "volume.directory_made",
  "volume.create_finished",
  "volume.remove_begun",
  "volume.data_gone",
  "volume.remove_finished",
  "volume.sized_made",
  "volume.image_named",
  "volume.rename_begun",
  "volume.renamed",
  "volume.resize_begun",
  "volume.resized",
  "volume.restore_begun",
  "volume.restore_unpacked",
  "volume.restore_swapped",
  "volume.snapshot_begun",
  "volume.snapshot_made",
  "volume.snapshot_remove_begun",
  "volume.snapshot_forgotten",
  "devicemapper.base_made",
  "devicemapper.base_noted",
  "devicemapper.id_noted",
  "devicemapper.transaction_set",
  "devicemapper.device_made",
  "devicemapper.device_deleted",
  "migrate.begun",
  "migrate.layer_copied",
  "migrate.layer_verified",
  "migrate.container_prepared",
  "migrate.container_filled",
  "migrate.container_verified",
  "migrate.switched",
  "migrate.old_snapshot_gone",
  "migrate.old_data_gone",
  "migrate.finished",
  "union.row_written",
  "union.binds_made",
  "union.mounted",
  "union.unmounted",
  "manager.row_written",
  "manager.device_mounted",
  "manager.set_up",
  "manager.mounted",
  "manager.unmounted",
  "manager.torn_down",
  "manager.device_unmounted",
  "atomic.files_written",
  "atomic.files_synced",
  "atomic.link_made",
  "atomic.renamed",
  "atomic.links_made",
  "provision.begun",
  "provision.tree_made",
  "provision.recorded",
  "provision.renamed",
  "provision.grown",
  "provision.given_up",
  "provision.deleted",
  "claims.volume_made",
  "claims.volume_stored",
  "claims.volume_claimed",
  "claims.bound",
  "claims.grown",
  "claims.reclaimed",
  "claims.snapshot_made",
  "pod.claim_made",
  "pod.container_made",
  "pod.status_written",
  "pod.container_removed",
  "pod.volumes_gone",
  "pod.claims_deleted",
  "pod.finalized",
] as const;

/** One of {@linkcode FAULT_POINTS}. */
export type FaultPoint = typeof FAULT_POINTS[number];

const armed = new Map<string, number>();
for (const item of (Deno.env.get("LAMINA_FAULT") ?? "").split(",").filter(Boolean)) {
  const [name, pass] = item.split(":");
  armed.set(name!, Number(pass ?? "1"));
}

/** Kills the process here when the environment asks for it. */
export function faultPoint(name: FaultPoint): void {
  const passes = armed.get(name);
  if (passes === undefined) return;
  if (passes > 1) {
    armed.set(name, passes - 1);
    return;
  }
  Deno.kill(Deno.pid, "SIGKILL");
}
