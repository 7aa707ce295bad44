/** One SQLite database per root: short synchronous reads, group-committed durable writes. */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { dirname, join } from "@std/path/posix";
import { LaminaError, messageOf } from "../core/errors.ts";
import { fileSystemStatus } from "../host/disk.ts";
import { migrate } from "./migrations.ts";
import { SpaceReserve } from "./space_reserve.ts";

/** A disk with less room than this cannot take a commit. */
const FULL_BYTES = 65_536;

/** A row as SQLite gives it. */
export type Row = Record<string, SQLOutputValue>;

/** Reads inside or outside of a write. Statements are prepared once per text. */
export interface Reader {
  get<T = Row>(sql: string, ...params: SQLInputValue[]): T | undefined;
  all<T = Row>(sql: string, ...params: SQLInputValue[]): T[];
}

/** What a write may do. */
export interface Transaction extends Reader {
  run(sql: string, ...params: SQLInputValue[]): { changes: number; lastId: number };
}

/** A write that waits for its group's commit. */
interface QueuedWrite {
  readonly frees: boolean;
  readonly body: (tx: Transaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The database. WAL with `synchronous=FULL`: a resolved {@linkcode Store.write} survives a power cut.
 *
 * Exclusive use is the root lock's business (`runtime/host/root_lock.ts`), not this class's.
 */
export class Store implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #reserve: SpaceReserve;
  readonly #path: string;
  #queue: QueuedWrite[] = [];
  #closed = false;
  #commits = 0;

  /**
   * Opens or creates the database and brings its schema up to date.
   *
   * @param path Absolute path of the file; its mode becomes 0600. The file `reserve` is kept beside it.
   * @throws `UNSUPPORTED` when a newer Lamina wrote it, `DATA_LOSS` when it is damaged.
   */
  constructor(path: string) {
    this.#path = path;
    this.#reserve = new SpaceReserve(join(dirname(path), "reserve"));
    try {
      try {
        this.#db = openDatabase(path);
      } catch (error) {
        // WAL needs a little space even to be read. On a full disk deleting must work, and so must opening.
        if (!/disk is full|disk I\/O error/.test(messageOf(error)) || !this.#reserve.release()) throw error;
        this.#db = openDatabase(path);
      }
      this.#reserve.restore();
    } catch (error) {
      throw error instanceof LaminaError ? error : storageError(error, `Cannot open the database ${path}`, path);
    }
  }

  /** How often something was committed since the database was opened: as long as it stays, every read says the same. */
  get commits(): number {
    return this.#commits;
  }

  /** See {@linkcode Reader}. */
  get<T = Row>(sql: string, ...params: SQLInputValue[]): T | undefined {
    return this.#reading(() => this.#prepare(sql).get(...params) as T | undefined);
  }

  /** See {@linkcode Reader}. */
  all<T = Row>(sql: string, ...params: SQLInputValue[]): T[] {
    return this.#reading(() => this.#prepare(sql).all(...params) as T[]);
  }

  /**
   * Runs `body` in a transaction and resolves with its value once that is on disk. Writes that are asked for in the
   * same turn of the event loop share one commit; each has a savepoint, so one that throws does not touch the others.
   *
   * @param body Synchronous and short: reads and writes, no effects outside of the database. It may run twice.
   * @param options `frees`: the write belongs to a deletion and may use the reserve of a full disk.
   * @throws what `body` throws (nothing of it is kept); `RESOURCE_EXHAUSTED` on a full disk.
   */
  write<T>(body: (tx: Transaction) => T, options: { readonly frees?: boolean } = {}): Promise<T> {
    if (this.#closed) return Promise.reject(new LaminaError("UNAVAILABLE", "The database is closed"));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#queue.push({ frees: options.frees ?? false, body, resolve, reject });
    if (this.#queue.length === 1) queueMicrotask(() => this.#flush());
    return promise as Promise<T>;
  }

  /** Waits for nothing: queued writes are committed first. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#statements.clear();
    this.#db.close();
  }

  #flush(): void {
    const group = this.#queue;
    this.#queue = [];
    if (group.length === 0) return;
    const frees = group.some((write) => write.frees);
    try {
      this.#commit(group);
    } catch (error) {
      const failure = storageError(error, "Cannot commit to the database", this.#path);
      if (!frees || failure.code !== "RESOURCE_EXHAUSTED" || !this.#reserve.release()) {
        group.forEach(({ reject }) => reject(failure));
        return;
      }
      try {
        this.#commit(group);
      } catch (again) {
        group.forEach(({ reject }) => reject(storageError(again, "Cannot commit to the database", this.#path)));
      }
    }
    if (frees) this.#reserve.restore();
  }

  /** Answers every write of the group, or throws having answered and changed none. */
  #commit(group: readonly QueuedWrite[]): void {
    const settle: Array<() => void> = [];
    const tx: Transaction = {
      get: (sql, ...params) => this.get(sql, ...params),
      all: (sql, ...params) => this.all(sql, ...params),
      run: (sql, ...params) => {
        const { changes, lastInsertRowid } = this.#prepare(sql).run(...params);
        return { changes: Number(changes), lastId: Number(lastInsertRowid) };
      },
    };
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      for (const { body, resolve, reject } of group) {
        this.#db.exec("SAVEPOINT one");
        try {
          const value = body(tx);
          settle.push(() => resolve(value));
        } catch (error) {
          // A full disk rolls the whole transaction back by itself; then the outer handler answers for all.
          if (!this.#db.isTransaction) throw error;
          this.#db.exec("ROLLBACK TO one");
          settle.push(() =>
            reject(
              error instanceof LaminaError ? error : storageError(error, "Cannot write to the database", this.#path),
            )
          );
        }
        this.#db.exec("RELEASE one");
      }
      this.#db.exec("COMMIT");
      this.#commits++;
      settle.forEach((answer) => answer());
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** A defect of the caller's SQL stays what it is; what the disk did gets its code. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw isDamage(error) ? storageError(error, `Cannot read the database ${this.#path}`, this.#path) : error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }
}

function openDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 5000 });
  try {
    Deno.chmodSync(path, 0o600);
    // Exclusive before WAL: SQLite's index of the log then lives in this process's own memory. In a file that is mapped
    // (`-shm`) a write that finds a copy-on-write file system full ends the process by SIGBUS (seen on btrfs).
    db.exec("PRAGMA locking_mode=EXCLUSIVE");
    db.exec(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=16777216",
    );
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function isDamage(error: unknown): boolean {
  return /malformed|not a database|disk I\/O error/.test(messageOf(error));
}

function isFull(path: string): boolean {
  return fileSystemStatus(dirname(path)).available_bytes < FULL_BYTES;
}

function storageError(error: unknown, attempted: string, path: string): LaminaError {
  const message = messageOf(error);
  if (/malformed|not a database/.test(message)) {
    return new LaminaError("DATA_LOSS", `${attempted}: it is damaged (${message}). Restore it from a backup`, {
      cause: error,
    });
  }
  const ioError = /disk I\/O error/.test(message);
  // Where SQLite extends its shared memory a full disk shows as an I/O error.
  if (/disk is full/.test(message) || (ioError && isFull(path))) {
    return new LaminaError("RESOURCE_EXHAUSTED", `${attempted}: the disk is full. Free some space and try again`, {
      cause: error,
    });
  }
  if (ioError) {
    return new LaminaError("DATA_LOSS", `${attempted}: the disk reports an error. See the kernel's log`, {
      cause: error,
    });
  }
  if (/readonly|read-only/i.test(message)) {
    return new LaminaError("UNAVAILABLE", `${attempted}: the file system is read-only`, { cause: error });
  }
  if (/unable to open|permission denied/i.test(message)) {
    return new LaminaError("PERMISSION_DENIED", `${attempted}: ${message}`, { cause: error });
  }
  return new LaminaError("INTERNAL", `${attempted}: ${message}`, { cause: error });
}
