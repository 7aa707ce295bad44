/** Dockerfile lines that change an image's config on commit. Pure. */
import { isAbsolute, join } from "@std/path/posix";
import { LaminaError } from "../core/errors.ts";
import type { ContainerConfig } from "../core/model/container.ts";

/** The `config` object of an image config: what a container made from it runs with. Unknown fields are kept. */
export type RuntimeConfig = Record<string, unknown>;

type Change = (config: RuntimeConfig, argument: string) => RuntimeConfig;

const changes: Readonly<Record<string, Change>> = {
  CMD: (config, argument) => ({ ...config, Cmd: commandOf(argument) }),
  ENTRYPOINT: (config, argument) => ({ ...config, Entrypoint: commandOf(argument) }),
  USER: (config, argument) => ({ ...config, User: argument }),
  WORKDIR: (config, argument) => ({ ...config, WorkingDir: workingDirectory(config.WorkingDir, argument) }),
  ENV: (config, argument) => ({ ...config, Env: withVariables(config.Env, pairsOf(argument)) }),
  LABEL: (config, argument) => ({
    ...config,
    Labels: { ...mapOf(config.Labels), ...Object.fromEntries(pairsOf(argument)) },
  }),
  VOLUME: (config, argument) => ({ ...config, Volumes: withKeys(config.Volumes, listOf(argument)) }),
  EXPOSE: (config, argument) => ({
    ...config,
    ExposedPorts: withKeys(config.ExposedPorts, listOf(argument).flatMap(portsOf)),
  }),
  STOPSIGNAL: (config, argument) => ({ ...config, StopSignal: argument }),
};

/**
 * Applies `lines` in order.
 *
 * @param lines `INSTRUCTION argument`, e.g. `CMD ["httpd"]`, `ENV A=1 B="two words"`, `EXPOSE 80/tcp`.
 * @throws `INVALID_ARGUMENT` naming the line.
 */
export function applyConfigChanges(config: RuntimeConfig, lines: readonly string[]): RuntimeConfig {
  return lines.reduce((current, line) => {
    const [, instruction, argument] = /^\s*([A-Za-z]+)(?:\s+([^]*?))?\s*$/.exec(line) ?? [];
    const change = changes[instruction?.toUpperCase() ?? ""];
    try {
      if (change === undefined) throw new Error(`the known instructions are ${Object.keys(changes).join(", ")}`);
      if (!argument) throw new Error("it has no argument");
      return change(current, argument);
    } catch (error) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Cannot apply the change ${JSON.stringify(line.slice(0, 80))}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }, config);
}

/** The config of an image with what a container made from it has instead. An entrypoint takes the command away. */
export function withContainerConfig(config: RuntimeConfig, own: Partial<ContainerConfig> = {}): RuntimeConfig {
  const variables = (own.env ?? []).map((line): [string, string] => {
    const equals = line.indexOf("=");
    return [line.slice(0, equals), line.slice(equals + 1)];
  });
  return {
    ...config,
    ...(own.entrypoint === undefined ? {} : { Entrypoint: own.entrypoint, Cmd: [] }),
    ...(own.command === undefined ? {} : { Cmd: own.command }),
    ...(variables.length === 0 ? {} : { Env: withVariables(config.Env, variables) }),
    ...(own.working_directory === undefined ? {} : { WorkingDir: own.working_directory }),
    ...(own.user === undefined ? {} : { User: own.user }),
  };
}

/** A JSON array as it is; anything else is for the shell. */
function commandOf(argument: string): string[] {
  return jsonStrings(argument) ?? ["/bin/sh", "-c", argument];
}

/** A JSON array, or words. */
function listOf(argument: string): string[] {
  return jsonStrings(argument) ?? argument.split(/\s+/);
}

function jsonStrings(argument: string): string[] | undefined {
  if (!argument.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(argument);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    // As in a Dockerfile, what is no JSON is taken as words.
    return undefined;
  }
}

function workingDirectory(current: unknown, argument: string): string {
  const base = typeof current === "string" && isAbsolute(current) ? current : "/";
  return isAbsolute(argument) ? join("/", argument) : join(base, argument);
}

/** `A=1 B="two words" C=a\ b`, or the old form `A all the rest`. */
function pairsOf(argument: string): [string, string][] {
  const words = wordsOf(argument);
  if (!words[0]?.includes("=")) {
    const [, key, value] = /^(\S+)\s+([^]*)$/.exec(argument) ?? [];
    if (key === undefined) throw new Error("it must be KEY=VALUE");
    return [[key, value!]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw new Error(`${JSON.stringify(word)} is not KEY=VALUE`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

/** Words separated by blanks; quotes and backslashes as in a Dockerfile. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  let open = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === "\\" && quote !== "'" && i + 1 < text.length) word += text[++i]!;
    else if (quote !== "" && char === quote) quote = "";
    else if (quote === "" && (char === '"' || char === "'")) {
      quote = char;
      open = true;
    } else if (quote === "" && /\s/.test(char)) {
      if (word !== "" || open) words.push(word);
      word = "";
      open = false;
    } else word += char;
  }
  if (quote !== "") throw new Error(`the quote ${quote} is not closed`);
  if (word !== "" || open) words.push(word);
  return words;
}

function withVariables(current: unknown, pairs: readonly (readonly [string, string])[]): string[] {
  const variables = Array.isArray(current) ? current.map(String) : [];
  for (const [key, value] of pairs) {
    const at = variables.findIndex((variable) => variable.split("=", 1)[0] === key);
    if (at < 0) variables.push(`${key}=${value}`);
    else variables[at] = `${key}=${value}`;
  }
  return variables;
}

/** `80` -> `80/tcp`; a range becomes each of its ports. */
function portsOf(text: string): string[] {
  const [, first, last, protocol = "tcp"] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text) ?? [];
  const low = Number(first);
  const high = last === undefined ? low : Number(last);
  if (!(low >= 1 && high >= low && high <= 65535)) {
    throw new Error(`${JSON.stringify(text)} is no port; write PORT[-PORT][/tcp|udp|sctp]`);
  }
  return Array.from({ length: high - low + 1 }, (_, i) => `${low + i}/${protocol.toLowerCase()}`);
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {};
}

function withKeys(current: unknown, keys: readonly string[]): Record<string, unknown> {
  return { ...mapOf(current), ...Object.fromEntries(keys.map((key) => [key, {}])) };
}
