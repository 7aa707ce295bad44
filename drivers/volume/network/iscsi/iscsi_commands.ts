/** What iscsiadm(8) is told. Pure. Passwords are not among it: they go into its records, see {@linkcode withChap}. */
import { LaminaError } from "../../../../runtime/core/errors.ts";

/** A disk of a target, and the ways to it. */
export interface IscsiAddress {
  readonly iqn: string;
  readonly lun: number;
  readonly iface: string;
  /** `ADDRESS:PORT`, the first is preferred. */
  readonly portals: readonly string[];
}

const DEFAULT_PORT = 3260;

/** With a port, and an IPv6 address in brackets. */
export function completePortal(portal: string): string {
  if (/^\[.*\]:\d+$/.test(portal) || /^[^:]+:\d+$/.test(portal)) return portal;
  const address = portal.includes(":") && !portal.startsWith("[") ? `[${portal}]` : portal;
  return `${address}:${DEFAULT_PORT}`;
}

function node({ iqn, iface }: IscsiAddress, portal: string): string[] {
  return ["-m", "node", "-T", iqn, "-p", portal, "-I", iface];
}

/** Notes how a target is reached; nothing is asked from it, so no discovery and none of its secrets are needed. */
export function newRecord(address: IscsiAddress, portal: string): string[] {
  return [...node(address, portal), "-o", "new"];
}

/** The daemon must not log in by itself after a reboot: Lamina does, for those who are still wanted. */
export function manualStartup(address: IscsiAddress, portal: string): string[] {
  return [...node(address, portal), "-o", "update", "-n", "node.startup", "-v", "manual"];
}

/** Begins a session. */
export function login(address: IscsiAddress, portal: string): string[] {
  return [...node(address, portal), "--login"];
}

/** Looks for disks that a session which exists did not have before. */
export function rescan(address: IscsiAddress, portal: string): string[] {
  return [...node(address, portal), "--rescan"];
}

/** Ends it. */
export function logout(address: IscsiAddress, portal: string): string[] {
  return [...node(address, portal), "--logout"];
}

/** Forgets how the target is reached, with the password. */
export function deleteRecord(address: IscsiAddress, portal: string): string[] {
  return [...node(address, portal), "-o", "delete"];
}

/** Exit statuses of iscsiadm(8) that mean that what was asked for is so already. */
export const ISCSI = { SESSION_EXISTS: 15, NO_OBJECTS: 21 } as const;

/** The names of a portal's records in the directory of its target: with an unknown portal group, and with any. */
export function isRecordOf(name: string, portal: string): boolean {
  const colon = portal.lastIndexOf(":");
  const address = portal.slice(0, colon).replace(/^\[|\]$/g, "");
  const key = `${address},${portal.slice(colon + 1)}`;
  return name === key || name.startsWith(`${key},`);
}

const CHAP_KEYS = [
  "node.session.auth.username",
  "node.session.auth.password",
  "node.session.auth.username_in",
  "node.session.auth.password_in",
];

/**
 * A record with the secrets of CHAP.
 *
 * @param text Lines `NAME = VALUE`.
 * @param secrets Of a Secret of the type kubernetes.io/iscsi-chap; other keys are passed over.
 * @throws `INVALID_ARGUMENT` without a user and a password, or for one with a line break.
 */
export function withChap(text: string, secrets: ReadonlyMap<string, string>): string {
  const settings = new Map([["node.session.auth.authmethod", "CHAP"]]);
  for (const key of CHAP_KEYS) {
    const value = secrets.get(key);
    if (value === undefined) continue;
    if (/[\r\n\0]/.test(value)) {
      throw new LaminaError("INVALID_ARGUMENT", `Cannot use the secret for iSCSI: ${key} has a line break`);
    }
    settings.set(key, value);
  }
  const missing = CHAP_KEYS.slice(0, 2).find((key) => !settings.has(key));
  if (missing !== undefined) {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot use the secret for iSCSI: it needs the key ${missing}`);
  }
  const kept = text.split("\n").filter((line) => !settings.has(line.split("=", 1)[0]!.trim()));
  // The last line closes the record.
  const end = kept.findLastIndex((line) => line.startsWith("# END RECORD"));
  const at = end < 0 ? kept.length : end;
  return [...kept.slice(0, at), ...[...settings].map(([key, value]) => `${key} = ${value}`), ...kept.slice(at)].join(
    "\n",
  );
}
