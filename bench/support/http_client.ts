/**
 * HTTP/1.1 over a unix socket with connections that stay open, and nothing else: `fetch` takes up to two milliseconds of
 * this machine's two processors for a call and its answer, which would be measured as Lamina's. Engines have lean
 * clients.
 */

/** An answer to its last byte. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** Any number of calls at a time, each on a connection of its own. */
export class HttpClient {
  readonly #idle: Connection[] = [];

  constructor(readonly socket: string) {}

  /** @param keep False: the body is thrown away as it comes. */
  async call(method: string, path: string, json?: unknown, keep = true): Promise<HttpAnswer> {
    const connection = this.#idle.pop() ??
      new Connection(await Deno.connect({ transport: "unix", path: this.socket }));
    const answer = await connection.call(method, path, json, keep);
    this.#idle.push(connection);
    return answer;
  }
}

class Connection {
  readonly #conn: Deno.UnixConn;
  /** Read, not yet used. */
  #rest = new Uint8Array(0);
  readonly #buffer = new Uint8Array(1 << 18);

  constructor(conn: Deno.UnixConn) {
    this.#conn = conn;
  }

  async call(method: string, path: string, json: unknown, keep: boolean): Promise<HttpAnswer> {
    const body = json === undefined ? "" : JSON.stringify(json);
    const type = json === undefined ? "" : "content-type: application/json\r\n";
    await this.#write(
      encoder.encode(
        `${method} ${path} HTTP/1.1\r\nhost: lamina\r\n${type}content-length: ${
          encoder.encode(body).length
        }\r\n\r\n${body}`,
      ),
    );
    const head = decoder.decode(await this.#until("\r\n\r\n"));
    const status = Number(head.slice(9, 12));
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    const parts: Uint8Array[] = [];
    const take = keep ? (part: Uint8Array) => parts.push(part) : () => 0;
    if (/^transfer-encoding: *chunked/im.test(head)) {
      for (let size_bytes = -1; size_bytes !== 0;) {
        size_bytes = parseInt(decoder.decode(await this.#until("\r\n")), 16);
        await this.#take(size_bytes, take);
        await this.#take(2, () => 0);
      }
    } else await this.#take(Number(length ?? 0), take);
    return { status, body: await new Blob(parts as BlobPart[]).bytes() };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** What comes up to and with `end`. */
  async #until(end: string): Promise<Uint8Array> {
    for (let text = decoder.decode(this.#rest);; text = decoder.decode(this.#rest)) {
      const at = text.indexOf(end);
      if (at >= 0) {
        const found = this.#rest.subarray(0, at + end.length);
        this.#rest = this.#rest.subarray(at + end.length);
        return found;
      }
      const more = await this.#read();
      const joined = new Uint8Array(this.#rest.length + more.length);
      joined.set(this.#rest);
      joined.set(more, this.#rest.length);
      this.#rest = joined;
    }
  }

  async #take(size_bytes: number, take: (part: Uint8Array) => unknown): Promise<void> {
    while (size_bytes > 0) {
      if (this.#rest.length === 0) this.#rest = await this.#read();
      const part = this.#rest.subarray(0, size_bytes);
      this.#rest = this.#rest.subarray(part.length);
      size_bytes -= part.length;
      take(part);
    }
  }

  async #read(): Promise<Uint8Array<ArrayBuffer>> {
    const count = await this.#conn.read(this.#buffer);
    if (count === null) throw new Error("the daemon has closed the connection");
    return this.#buffer.slice(0, count);
  }
}
