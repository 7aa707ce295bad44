/** `lamina.dev/local`: volumes on a file system of this node, whose size is enforced. */
import { dirname } from "@std/path/posix";
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { makeDirectoryDurably } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import type { LayerEngine } from "../../storage/layer/engine.ts";
import type { Provisioned, Provisioner, ProvisionRequest, VolumeUsage } from "../port.ts";
import { parseLocalParameters } from "./local_parameters.ts";
import { LocalPlace } from "./local_place.ts";
import type { VolumeRecord } from "./volume_record.ts";

type Source = Readonly<Record<string, unknown>>;

/** Names that Lamina gives: `pvc-UID`, `snap-UID`. */
const NAME = /^[a-z0-9][-a-z0-9.]{0,200}$/;

/** See the head of the file. */
export class LocalProvisioner implements Provisioner, AsyncDisposable {
  readonly name = "lamina.dev/local";
  readonly #places = new Map<string, Promise<LocalPlace>>();

  /** @param home Where volumes are made that no class gives a `path`; made where it is missing. */
  constructor(readonly home: string, readonly engine: LayerEngine) {}

  async provision(request: ProvisionRequest, operation: Operation): Promise<Provisioned> {
    const parameters = parseLocalParameters(request.parameters);
    checkName(request.name);
    const place = await this.#open(parameters.path, operation);
    const origin = await this.#origin(place, request);
    const block = request.volume_mode === "Block";
    const wanted_backing = parameters.backing === "auto" && origin !== undefined
      ? origin.record.backing
      : block && parameters.backing === "auto"
      ? "image"
      : parameters.backing;
    const { name: backing } = await place.sized.choose(wanted_backing, operation);
    if (block && backing !== "image") {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot make a block device with "backing: ${backing}". Use "image", or "auto"`,
      );
    }
    refuseOther(origin?.record, backing, block);
    const { fs_type, overprovision } = parameters;
    const { record, tree } = await place.make(
      request.name,
      {
        kind: "volume",
        backing,
        fs_type: backing !== "image" || block ? "none" : origin?.record.fs_type ?? fs_type,
        size_bytes: request.size_bytes,
        overprovision,
        // When it or its origin is written to, it needs blocks of its own.
        ...(origin === undefined ? {} : { shared_bytes: Math.max(request.size_bytes, origin.record.size_bytes) }),
      },
      async (path, sized) => {
        const sparse = overprovision;
        const size_bytes = request.size_bytes;
        if (origin === undefined) {
          return await sized.make(
            path,
            { size_bytes, fs_type: block ? "none" : fs_type, sparse, mode: 0o755 },
            operation,
          );
        }
        await sized.copy(origin.tree, path, { limit_bytes: size_bytes }, operation);
        return await sized.grow(path, Math.max(size_bytes, origin.record.size_bytes), operation);
      },
      operation,
    );
    const size_bytes = record.size_bytes >= request.size_bytes
      ? record.size_bytes
      : (await place.grow(request.name, request.size_bytes, operation)).size_bytes;
    return { source: { local: sourceOf(tree, record) }, size_bytes };
  }

  async remove(source: Source, operation: Operation): Promise<void> {
    const { place, name } = await this.#placeOf(source, operation);
    await place.remove(name, operation);
  }

  async discard(name: string, parameters: Readonly<Record<string, string>>, operation: Operation): Promise<void> {
    checkName(name);
    const place = await this.#openIfThere(parameters, operation);
    await place?.remove(name, operation);
  }

  async expand(source: Source, size_bytes: number, operation: Operation) {
    const { place, name } = await this.#placeOf(source, operation);
    return await place.grow(name, size_bytes, operation);
  }

  async usage(source: Source, operation: Operation): Promise<VolumeUsage> {
    const { place, name } = await this.#placeOf(source, operation);
    const { used_bytes, capacity_bytes } = await place.usage(name, operation);
    return { used_bytes, capacity_bytes, available_bytes: Math.max(0, capacity_bytes - used_bytes) };
  }

  async snapshot(source: Source, name: string, operation: Operation): Promise<{ handle: string; size_bytes: number }> {
    checkName(name);
    const { place, name: origin } = await this.#placeOf(source, operation);
    const found = await place.find(origin);
    if (found === undefined) {
      throw new LaminaError("NOT_FOUND", `Cannot take a snapshot: there is no volume ${origin} in ${place.directory}`);
    }
    const { backing, fs_type, size_bytes, overprovision } = found.record;
    const { allocated_bytes } = await place.sized.backing(backing).usage(found.tree, operation);
    const { record } = await place.make(
      name,
      // What is shared now will not be once the volume is written to.
      { kind: "snapshot", backing, fs_type, size_bytes, overprovision, shared_bytes: allocated_bytes },
      async (path, sized) => {
        await sized.copy(found.tree, path, {}, operation);
        return { size_bytes };
      },
      operation,
    );
    return { handle: `${place.directory}/${name}`, size_bytes: record.size_bytes };
  }

  async removeSnapshot(handle: string, operation: Operation): Promise<void> {
    const place = await this.#open(dirname(handle), operation);
    await place.remove(place.nameOf(handle), operation);
  }

  async list(parameters: Readonly<Record<string, string>>, operation: Operation): Promise<readonly string[]> {
    const place = await this.#openIfThere(parameters, operation);
    return place === undefined ? [] : place.names().map((name) => `${place.directory}/${name}`);
  }

  async capacity(parameters: Readonly<Record<string, string>>, operation: Operation) {
    const { path, overprovision } = parseLocalParameters(parameters);
    const place = await this.#open(path, operation);
    const { total_bytes, available_bytes, promised_bytes } = await place.capacity(operation);
    return { total_bytes, available_bytes: overprovision ? available_bytes + promised_bytes : available_bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of await Promise.allSettled(this.#places.values())) {
      if (place.status === "fulfilled") place.value[Symbol.dispose]();
    }
    this.#places.clear();
  }

  async #origin(place: LocalPlace, { from, size_bytes }: ProvisionRequest) {
    if (from === undefined) return undefined;
    const directory = from.snapshotHandle ?? dirname(pathOf(from.source!));
    if (dirname(directory) !== place.directory) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot make a copy in ${place.directory}: what is to be copied lies in ${dirname(directory)}. Use a ` +
          "StorageClass with the same path",
      );
    }
    const found = await place.find(place.nameOf(directory));
    if (found === undefined) throw new LaminaError("NOT_FOUND", `Cannot copy ${directory}: it is not there any more`);
    if (size_bytes < found.record.size_bytes) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot copy ${found.record.size_bytes} bytes into ${size_bytes}. Ask for at least as much as the source has`,
      );
    }
    return found;
  }

  /** `undefined`: with these parameters, or in a place that is not there, nothing was ever made. */
  async #openIfThere(
    parameters: Readonly<Record<string, string>>,
    operation: Operation,
  ): Promise<LocalPlace | undefined> {
    try {
      const { path } = parseLocalParameters(parameters);
      // Looking is no reason to make it.
      if (path === undefined) await Deno.stat(this.home);
      return await this.#open(path, operation);
    } catch (error) {
      if (isLaminaError(error, "INVALID_ARGUMENT", "NOT_FOUND") || error instanceof Deno.errors.NotFound) {
        return undefined;
      }
      throw error;
    }
  }

  /** A place is opened once; one that could not be is tried again by the next who asks. */
  async #open(path: string | undefined, operation: Operation): Promise<LocalPlace> {
    if (path === undefined) await makeDirectoryDurably(this.home, 0o700);
    let directory: string;
    try {
      directory = await Deno.realPath(path ?? this.home);
      if (!(await Deno.stat(directory)).isDirectory) {
        throw new LaminaError("INVALID_ARGUMENT", `Cannot make volumes in ${path}: it is no directory`);
      }
    } catch (error) {
      throw hostError(error, `Cannot make volumes in ${path ?? this.home}`);
    }
    let opening = this.#places.get(directory);
    if (opening === undefined) {
      opening = LocalPlace.open(directory, this.engine, operation);
      this.#places.set(directory, opening);
      opening.catch(() => this.#places.delete(directory));
    }
    return await opening;
  }

  async #placeOf(source: Source, operation: Operation): Promise<{ place: LocalPlace; name: string }> {
    const directory = dirname(pathOf(source));
    let place: LocalPlace;
    try {
      place = await this.#open(dirname(directory) === this.home ? undefined : dirname(directory), operation);
    } catch (error) {
      throw hostError(error, `Cannot reach the volume ${directory}`);
    }
    return { place, name: place.nameOf(directory) };
  }
}

function sourceOf(tree: string, record: VolumeRecord): Record<string, string> {
  return record.fs_type === "none" ? { path: tree } : { path: tree, fsType: record.fs_type };
}

function pathOf(source: Source): string {
  const path = (source.local as { path?: unknown } | undefined)?.path;
  if (typeof path === "string" && /\/(data|image)$/.test(path)) return path;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    "This PersistentVolume was not made by lamina.dev/local: its path is other",
  );
}

function checkName(name: string): void {
  if (!NAME.test(name)) throw new LaminaError("INVALID_ARGUMENT", `${JSON.stringify(name)} is no name of a volume`);
}

/** A copy is of the same kind as its source. */
function refuseOther(origin: VolumeRecord | undefined, backing: string, block: boolean): void {
  if (origin === undefined) return;
  const isBlock = origin.backing === "image" && origin.fs_type === "none";
  const found = origin.backing !== backing
    ? `its source has "backing: ${origin.backing}", not "${backing}"`
    : isBlock !== block
    ? `its source is ${isBlock ? "a block device" : "a file system"}. Ask for the same volumeMode`
    : undefined;
  if (found !== undefined) throw new LaminaError("INVALID_ARGUMENT", `Cannot make a copy: ${found}`);
}
