/** A container's changes become a new image upon the one that it was made from. */
import type { TarStream } from "../../drivers/storage/layer/types.ts";
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { ContainerConfig } from "../core/model/container.ts";
import type { ContainerCommit } from "../core/specs/container.ts";
import type { Image } from "../core/specs/image.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent } from "../store/journal.ts";
import { applyConfigChanges, type RuntimeConfig, withContainerConfig } from "./config_changes.ts";
import { lookUpImage } from "./image_lookup.ts";
import type { ImageRoom } from "./image_room.ts";
import { findImage, layersOf } from "./image_rows.ts";
import { importImages, undo } from "./import_images.ts";
import { describeImage } from "./list_images.ts";
import { applyNewLayer, type NewLayer } from "./new_layer.ts";
import { MAX_LAYERS } from "./oci_schema.ts";
import { existingLayer, makeSourceImage } from "./read/source_image.ts";
import { chosenReference } from "./reference_names.ts";

/** What a commit is made of. */
export interface CommitRequest {
  /** Image that the container was made from: id or reference. It stays while a container uses it. */
  readonly parent: string;
  /** The changes as a plain layer tar; read to its end, or cancelled. */
  readonly layer: TarStream;
  /** Id of the container, for the journal and the history. */
  readonly container: string;
  readonly options: ContainerCommit;
  /** What the container has instead of the image's config; the changes of the options come after it. */
  readonly config?: ContainerConfig;
}

/** Fields of a config that tell of one build, and would be wrong in an image made from it. */
const perBuildFields = ["id", "parent", "container", "container_config", "docker_version"];

/**
 * Makes the image.
 *
 * @throws `NOT_FOUND` (parent), `INVALID_ARGUMENT` (a change, the reference), `RESOURCE_EXHAUSTED` (layers, disk); then
 * nothing is left.
 */
export async function commitImage(room: ImageRoom, request: CommitRequest, operation: Operation): Promise<Image> {
  const { options } = request;
  let layer: NewLayer | undefined;
  try {
    const { row } = lookUpImage(room.store, request.parent);
    const reference = options.reference === undefined ? undefined : chosenReference(options.reference);
    const parentConfig: Record<string, unknown> = JSON.parse(new TextDecoder().decode(row.config));
    const ofContainer = withContainerConfig((parentConfig.config ?? {}) as RuntimeConfig, request.config);
    const runtimeConfig = applyConfigChanges(ofContainer, options.changes);
    const parents = layersOf(room.store, row.id);
    if (parents.length >= MAX_LAYERS) {
      throw new LaminaError(
        "RESOURCE_EXHAUSTED",
        `Cannot commit upon ${request.parent}: it has ${MAX_LAYERS} layers already`,
      );
    }
    using _pins = room.pins.pin(parents.map(({ chain_id }) => chain_id));
    const intent = await room.store.write((tx) => beginIntent(tx, "container.commit", request.container, {}));
    faultPoint("commit.begun");
    try {
      const blob = { source: request.layer, compression: "none" as const };
      layer = await applyNewLayer(room, parents.at(-1)?.chain_id, blob, operation);
      faultPoint("commit.layer_applied");
      const config = committedConfig(parentConfig, runtimeConfig, layer.diffId, request);
      const blobs = [...parents, layer].map(() => existingLayer);
      const image = makeSourceImage(config, blobs, reference === undefined ? [] : [reference], "the committed image");
      await importImages(room, { images: [image], warnings: [] }, {}, operation, "commit");
      await room.store.write((tx) => endIntent(tx, intent));
      faultPoint("commit.finished");
      return describeImage(room.store, findImage(room.store, image.id)!);
    } catch (error) {
      layer?.[Symbol.dispose]();
      await undo(room, layer === undefined ? [] : [layer.chainId], intent, error);
      throw error;
    }
  } catch (error) {
    // Not locked any more where the driver has read it; then there is nothing to cancel.
    if (!request.layer.locked) await request.layer.cancel(error).catch(() => {});
    throw error;
  } finally {
    layer?.[Symbol.dispose]();
  }
}

/** The parent's config with one more layer and one more step of history. */
function committedConfig(
  parent: Readonly<Record<string, unknown>>,
  config: RuntimeConfig,
  diffId: string,
  { options, container }: CommitRequest,
): Uint8Array<ArrayBuffer> {
  const created = creationTime().toISOString();
  const kept = Object.fromEntries(Object.entries(parent).filter(([key]) => !perBuildFields.includes(key)));
  const rootfs = parent.rootfs as { diff_ids?: string[] | null };
  const step = {
    created,
    created_by: `lamina container commit ${container.slice(0, 12)}`,
    author: options.author,
    comment: options.message,
  };
  return new TextEncoder().encode(JSON.stringify({
    ...kept,
    created,
    author: options.author ?? parent.author,
    config,
    rootfs: { type: "layers", diff_ids: [...rootfs.diff_ids ?? [], diffId] },
    history: [...completeHistory(parent.history, rootfs.diff_ids?.length ?? 0), step],
  }));
}

/** A history may be missing; then its steps would be counted against the wrong layers. */
function completeHistory(history: unknown, layers: number): unknown[] {
  if (Array.isArray(history) && history.length > 0) return history;
  return Array.from({ length: layers }, () => ({ created_by: "(unknown)" }));
}

/** Now, or what `SOURCE_DATE_EPOCH` (seconds) says, for reproducible images. */
function creationTime(): Date {
  const epoch_s = Number(Deno.env.get("SOURCE_DATE_EPOCH") || Number.NaN);
  return Number.isFinite(epoch_s) ? new Date(epoch_s * 1000) : new Date();
}
