/** Errors in the shape of the Docker Engine API: `{"message": …}` with Docker's status codes. */
import { type ErrorCode, type LaminaError, toLaminaError } from "../../core/errors.ts";
import { HttpError } from "../errors.ts";

/** Docker has one code for whatever goes wrong on the host. */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  CONFLICT: 409,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  CANCELLED: 500,
  INTERNAL: 500,
  DEADLINE_EXCEEDED: 500,
  RESOURCE_EXHAUSTED: 500,
};

/** What a call is refused with that would need a process, a network or a registry. */
export class StorageOnly extends HttpError {
  /** @param advice What to do instead; a sentence. */
  constructor(advice: string) {
    super(501, "UNSUPPORTED", `Lamina is the storage half of a container engine: ${advice}`);
  }
}

/** The answer to a failed call. */
export function dockerError(error: unknown, attempted: string): Response {
  const failure = toLaminaError(error, attempted);
  const headers = failure instanceof HttpError ? failure.headers : {};
  return Response.json({ message: dockerMessage(failure) }, { status: statusOf(failure), headers });
}

/** The message in the words that clients of Docker look for, where they look for any. */
export function dockerMessage(failure: LaminaError): string {
  if (failure.details.found === "rootfs") {
    return "Cannot load: the archive holds no image but files of a root file system. Use docker import FILE NAME:TAG";
  }
  if (failure.code !== "NOT_FOUND") return failure.message;
  const { container, image, volume } = failure.details;
  if (typeof container === "string") return `No such container: ${container}`;
  if (typeof image === "string") return `No such image: ${image}`;
  if (typeof volume === "string") return `get ${volume}: no such volume`;
  return failure.message;
}

function statusOf(failure: LaminaError): number {
  if (!(failure instanceof HttpError)) return STATUS[failure.code];
  // Docker calls a content type that it does not take an invalid request.
  return failure.status === 415 ? 400 : failure.status;
}
