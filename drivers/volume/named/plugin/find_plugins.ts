/**
 * Where Docker volume plugins are found: a socket `NAME.sock` or `NAME/NAME.sock` in the socket directories, otherwise a
 * file `NAME.spec` (an address) or `NAME.json` in the directories of such files.
 */
import { LaminaError, messageOf } from "../../../../runtime/core/errors.ts";
import * as z from "zod";

/** Directories that are looked into, the first match wins. */
export interface PluginPlaces {
  readonly sockets: readonly string[];
  readonly files: readonly string[];
}

/** Docker's own. */
export const DOCKER_PLUGIN_PLACES: PluginPlaces = {
  sockets: ["/run/docker/plugins"],
  files: ["/etc/docker/plugins", "/usr/lib/docker/plugins"],
};

/** How a plugin is reached. */
export interface PluginAddress {
  /** Of a unix socket; absent for `url`. */
  readonly socketPath?: string;
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly url?: string;
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
}

const pluginName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const MAX_FILE_BYTES = 65_536;

/**
 * The address of a plugin; `undefined`: there is none. Looks at a few paths and waits for nobody.
 *
 * @throws `INVALID_ARGUMENT` for a file that says no address.
 */
export function findPlugin(name: string, places: PluginPlaces): PluginAddress | undefined {
  if (!pluginName.test(name) || name.length > 255) return undefined;
  for (const directory of places.sockets) {
    for (const socketPath of [`${directory}/${name}.sock`, `${directory}/${name}/${name}.sock`]) {
      if (kindOf(socketPath) === "socket") return { socketPath };
    }
  }
  for (const directory of places.files) {
    for (const ending of ["spec", "json"] as const) {
      const path = `${directory}/${name}.${ending}`;
      if (kindOf(path) !== "file") continue;
      const text = readSmall(path);
      return ending === "spec" ? parseAddress(text.trim(), path) : parseJson(text, path);
    }
  }
  return undefined;
}

/** Names of all that can be found now, at most 100. */
export function pluginNames(places: PluginPlaces): string[] {
  const names = new Set<string>();
  for (const directory of places.sockets) {
    for (const { name, isDirectory } of entriesOf(directory)) {
      if (name.endsWith(".sock")) names.add(name.slice(0, -".sock".length));
      else if (isDirectory && kindOf(`${directory}/${name}/${name}.sock`) === "socket") names.add(name);
    }
  }
  for (const directory of places.files) {
    for (const { name } of entriesOf(directory)) {
      const match = /^(.+)\.(?:spec|json)$/.exec(name);
      if (match !== null) names.add(match[1]!);
    }
  }
  return [...names].filter((name) => pluginName.test(name)).sort().slice(0, 100);
}

const JsonFile = z.object({
  Addr: z.string(),
  TLSConfig: z.object({
    InsecureSkipVerify: z.boolean().optional(),
    CAFile: z.string().optional(),
    CertFile: z.string().optional(),
    KeyFile: z.string().optional(),
  }).nullish(),
});

function parseJson(text: string, path: string): PluginAddress {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(path, messageOf(error));
  }
  const parsed = JsonFile.safeParse(value);
  if (!parsed.success) throw malformed(path, z.prettifyError(parsed.error));
  const { Addr, TLSConfig } = parsed.data;
  if (TLSConfig?.InsecureSkipVerify) {
    throw malformed(path, "InsecureSkipVerify is not supported: name the plugin's authority as CAFile");
  }
  if (TLSConfig === undefined || TLSConfig === null) return parseAddress(Addr, path);
  const { url } = parseAddress(Addr, path);
  if (url === undefined) throw malformed(path, "TLSConfig is for tcp:// addresses");
  const { CAFile, CertFile, KeyFile } = TLSConfig;
  return { url: url.replace(/^http:/, "https:"), tls: { caFile: CAFile, certFile: CertFile, keyFile: KeyFile } };
}

function parseAddress(text: string, path: string): PluginAddress {
  const unix = /^unix:\/\/(\/[^\0\n]+)$/.exec(text);
  if (unix !== null) return { socketPath: unix[1]! };
  const tcp = /^(?:tcp|http):\/\/([^/\s]+)\/?$/.exec(text);
  if (tcp !== null) return { url: `http://${tcp[1]}` };
  const https = /^https:\/\/([^/\s]+)\/?$/.exec(text);
  if (https !== null) return { url: `https://${https[1]}` };
  throw malformed(path, `it says ${JSON.stringify(text.slice(0, 80))}`);
}

function malformed(path: string, why: string): LaminaError {
  return new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot read the plugin's address from ${path}: ${why}. It should be unix:///PATH or tcp://HOST:PORT`,
    { details: { path } },
  );
}

function kindOf(path: string): "socket" | "file" | "directory" | undefined {
  try {
    const info = Deno.statSync(path);
    return info.isSocket ? "socket" : info.isDirectory ? "directory" : "file";
  } catch {
    // Missing, or not for us: not a plugin either way.
    return undefined;
  }
}

function entriesOf(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    return [];
  }
}

function readSmall(path: string): string {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(MAX_FILE_BYTES);
  return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
}
