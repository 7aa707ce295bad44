/** Versions of the Docker Engine API: what a path asks for and what this daemon speaks. Pure. */
import { HttpError } from "../errors.ts";

/** The newest version that is spoken; answers say so, and clients adapt themselves to it. */
export const API_VERSION = "1.47";
/** The oldest version that is spoken. */
export const MIN_API_VERSION = "1.24";

/** `1.41` as 41: the part after the point. The part before it has been 1 since 2013. */
export type MinorVersion = number;

/** A path without its version. */
export interface VersionedPath {
  readonly version: MinorVersion;
  readonly path: string;
}

/**
 * `/v1.41/volumes` -> 41 and `/volumes`; a path without a version means the newest.
 *
 * @throws {HttpError} 400 in Docker's words for a version that is newer or older than what is spoken.
 */
export function splitVersion(path: string): VersionedPath {
  const match = /^\/v([0-9]{1,4})(?:\.([0-9]{1,4}))?(\/.*)$/.exec(path);
  if (match === null) return { version: minorOf(API_VERSION), path };
  const [, major, minor = "0", rest] = match;
  const asked = `${Number(major)}.${Number(minor)}`;
  if (Number(major) > 1 || Number(major) === 1 && Number(minor) > minorOf(API_VERSION)) {
    throw new HttpError(
      400,
      "INVALID_ARGUMENT",
      `client version ${asked} is too new. Maximum supported API version is ${API_VERSION}`,
    );
  }
  if (Number(major) < 1 || Number(minor) < minorOf(MIN_API_VERSION)) {
    throw new HttpError(
      400,
      "INVALID_ARGUMENT",
      `client version ${asked} is too old. Minimum supported API version is ${MIN_API_VERSION}, ` +
        "please upgrade your client to a newer version",
    );
  }
  return { version: Number(minor), path: rest! };
}

function minorOf(version: string): MinorVersion {
  return Number(version.slice(version.indexOf(".") + 1));
}
