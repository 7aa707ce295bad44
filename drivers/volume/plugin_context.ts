/** What the volume plugins of Kubernetes' kinds work with, and what they say alike. */
import { type ErrorCode, type ErrorDetails, LaminaError, toLaminaError } from "../../runtime/core/errors.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import type { RootLayout } from "../../runtime/core/root_layout.ts";
import type { Mounter } from "../../runtime/host/mounter.ts";
import type { LayerEngine } from "../storage/layer/engine.ts";
import type { FailureClass, ObjectLookup, VolumeSpec, Workload } from "./port.ts";

/** See the head of the file. */
export interface PluginContext {
  readonly mounter: Mounter;
  /** `staging` and `trash` lie on the file system of the pods' directories. */
  readonly layout: RootLayout;
  readonly engine: LayerEngine;
  /** Where the secrets of remote volumes are. */
  readonly objects: ObjectLookup;
  /** Where FlexVolume drivers are; default where Kubernetes has them. */
  readonly flexDirectory?: string;
}

/** `volume "config" of pod default/web`, for messages. */
export function describeVolume(spec: VolumeSpec, workload: Workload): string {
  return `volume "${spec.name}" of ${workload.kind} ${workload.name}`;
}

/** Id of a volume that belongs to its workload and has no device. */
export function ownVolumeId(spec: VolumeSpec, workload: Workload): string {
  return `${workload.uid}/${spec.name}`;
}

/** The error of a volume that cannot be set up. @param why What was found, and what to do. */
export function cannotSetUp(
  code: ErrorCode,
  spec: VolumeSpec,
  workload: Workload,
  why: string,
  details: ErrorDetails = {},
): LaminaError {
  return new LaminaError(code, `Cannot set up the ${describeVolume(spec, workload)}: ${why}`, {
    details: { volume: spec.name, ...details },
  });
}

/** Runs a part of a step whose failures all mean the same for the volume's state. */
export async function failingAs<T>(
  failureClass: FailureClass,
  attempted: string,
  body: () => T | Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const known = toLaminaError(error, attempted);
    if (known.details.failure_class !== undefined) throw known;
    throw new LaminaError(known.code, known.message, {
      cause: error,
      details: { ...known.details, failure_class: failureClass },
    });
  }
}

/** Tells people what did not come out as they asked, although the volume works: it becomes a Warning event. */
export function warn(operation: Operation, spec: VolumeSpec, message: string): void {
  operation.progress({ phase: "warning", id: spec.name, current: 0, message });
}
