/** Docker's `Config` of a container: the body of its creation over the config of its image. Pure. */
import type { ContainerConfig } from "../../core/model/container.ts";
import type { ContainerBody } from "./container_body.ts";
import { stringMap } from "./image_shape.ts";

/** An object of JSON. */
export type JsonObject = Record<string, unknown>;

/** Fields that clients expect to be there. */
const EMPTY: JsonObject = {
  Hostname: "",
  Domainname: "",
  User: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: [],
  Cmd: null,
  Image: "",
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: {},
};

/**
 * As Docker merges them: lists of the caller win, environments, labels, volumes and ports are united, an entrypoint
 * takes the image's command away.
 */
export function mergedConfig(body: JsonObject, image: JsonObject): JsonObject {
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null && value !== undefined));
  const config: JsonObject = { ...EMPTY, ...given };
  const entrypoint = listOf(given.Entrypoint);
  if ((entrypoint?.length ?? 0) === 0) {
    if ((listOf(given.Cmd)?.length ?? 0) === 0) config.Cmd = listOf(image.Cmd) ?? null;
    config.Entrypoint = entrypoint ?? listOf(image.Entrypoint) ?? null;
  } else if (entrypoint!.length === 1 && entrypoint![0] === "") {
    config.Entrypoint = null;
  }
  config.Env = mergedEnvironment(listOf(given.Env) ?? [], listOf(image.Env) ?? []);
  config.Labels = { ...stringMap(image.Labels), ...stringMap(given.Labels) };
  for (const key of ["Volumes", "ExposedPorts"]) {
    const united = { ...objectOf(image[key]), ...objectOf(given[key]) };
    if (Object.keys(united).length > 0) config[key] = united;
  }
  for (const key of ["User", "WorkingDir", "StopSignal", "Shell", "Healthcheck"]) {
    if (!given[key] && image[key]) config[key] = image[key];
  }
  return config;
}

/** What Lamina itself keeps of a body, for the runtime spec and for commits. */
export function laminaConfig(body: ContainerBody): Partial<ContainerConfig> {
  const entrypoint = body.Entrypoint?.length === 1 && body.Entrypoint[0] === "" ? [] : body.Entrypoint;
  return {
    ...(entrypoint ? { entrypoint } : {}),
    ...(body.Cmd && body.Cmd.length > 0 ? { command: body.Cmd } : {}),
    // A name without a value takes the variable away in Docker; there is none to take.
    env: (body.Env ?? []).filter((line) => line.indexOf("=") > 0),
    ...(body.WorkingDir ? { working_directory: body.WorkingDir } : {}),
    ...(body.User ? { user: body.User } : {}),
    ...(body.Hostname ? { hostname: body.Hostname } : {}),
  };
}

/** The same the other way, for containers that were not made by a client of Docker. */
export function configBodyOf(config: ContainerConfig): JsonObject {
  return {
    Entrypoint: config.entrypoint,
    Cmd: config.command,
    Env: config.env,
    WorkingDir: config.working_directory,
    User: config.user,
    Hostname: config.hostname,
  };
}

/** Strings of a list that comes from outside; `undefined` where it is none. */
export function listOf(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}

function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : {};
}

function mergedEnvironment(own: readonly string[], image: readonly string[]): string[] {
  const names = new Set(own.map((line) => line.split("=", 1)[0]));
  return [...own, ...image.filter((line) => !names.has(line.split("=", 1)[0]))];
}
