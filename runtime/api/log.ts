/** Structured logs: JSON lines, or text for people. */
import { messageOf } from "../core/errors.ts";

/** From the most to the least talkative. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "off"] as const;
/** One of {@linkcode LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** Facts beside a message. Never bodies, headers or options of volumes: they may hold secrets. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where the daemon and the command line tell what they do. */
export interface Logger {
  readonly level: LogLevel;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** How a logger writes. */
export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: LogLevel;
  /** `text` for a terminal. */
  readonly format: "json" | "text";
  /** Receives lines without their end. Must not throw: a closed standard error does not end the daemon. */
  readonly write: (line: string) => void;
}

/** A logger. */
export function createLogger({ level = "info", format, write }: LoggerOptions): Logger {
  const threshold = LOG_LEVELS.indexOf(level);
  const at = (name: LogLevel) => (message: string, fields: LogFields = {}): void => {
    if (LOG_LEVELS.indexOf(name) < threshold) return;
    const time = new Date().toISOString();
    write(format === "json" ? JSON.stringify({ time, level: name, message, ...fields }) : text(name, message, fields));
  };
  return { level, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A logger that says nothing. */
export function silentLogger(): Logger {
  return createLogger({ level: "off", format: "json", write: () => {} });
}

/** An error with its causes, for a log line. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e !== undefined && parts.length < 5; e = e instanceof Error ? e.cause : undefined) {
    parts.push(messageOf(e));
  }
  return parts.join(" <- ");
}

function text(level: LogLevel, message: string, fields: LogFields): string {
  const facts = Object.entries(fields).filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? JSON.stringify(value) : value}`).join("");
  return `${level.padEnd(5)} ${message}${facts}`;
}
