/** Two verbs of containerd's snapshot service over gRPC: the least that a fair comparison needs. */
/** A mount as containerd returns it. */
export interface PeerMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** A connection; dispose it. */
export interface ContainerdSnapshots extends Disposable {
  prepare(key: string, parent: string): Promise<PeerMount[]>;
  remove(key: string): Promise<void>;
}

/** Connects to containerd's socket. */
export function containerdSnapshots(socket: string, namespace = "default"): ContainerdSnapshots {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket }, http1: false, http2: true });
  const call = async (method: string, request: Uint8Array): Promise<Uint8Array> => {
    const frame = new Uint8Array(5 + request.length);
    new DataView(frame.buffer).setUint32(1, request.length);
    frame.set(request, 5);
    const response = await fetch(`http://localhost/containerd.services.snapshots.v1.Snapshots/${method}`, {
      method: "POST",
      client,
      headers: { "content-type": "application/grpc", te: "trailers", "containerd-namespace": namespace },
      body: frame,
    });
    const answer = new Uint8Array(await response.arrayBuffer());
    // A call that fails has no message: its status is in the headers.
    if (answer.length === 0) throw new Error(`containerd ${method}: ${response.headers.get("grpc-message")}`);
    return answer.subarray(5);
  };
  const snapshotter = "overlayfs";
  return {
    prepare: async (key, parent) =>
      fields(await call("Prepare", message([snapshotter, key, parent, rootLabel]))).filter(([tag]) => tag === 1).map(
        ([, bytes]) => {
          const parts = fields(bytes).map(([tag, value]) => [tag, new TextDecoder().decode(value)] as const);
          const one = (tag: number) => parts.find(([found]) => found === tag)?.[1] ?? "";
          return {
            type: one(1),
            source: one(2),
            options: parts.filter(([tag]) => tag === 4).map(([, value]) => value),
          };
        },
      ),
    remove: async (key) => {
      await call("Remove", message([snapshotter, key]));
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** A protobuf message whose fields 1, 2, … are these texts and messages (each shorter than 16 KiB). */
function message(values: ReadonlyArray<string | Uint8Array>): Uint8Array {
  const bytes: number[] = [];
  for (const [index, value] of values.entries()) {
    const content = typeof value === "string" ? new TextEncoder().encode(value) : value;
    bytes.push((index + 1) << 3 | 2, (content.length & 127) | (content.length > 127 ? 128 : 0));
    if (content.length > 127) bytes.push(content.length >> 7);
    bytes.push(...content);
  }
  return Uint8Array.from(bytes);
}

/** The label that keeps a snapshot from containerd's garbage collection. */
const rootLabel = message(["containerd.io/gc.root", "1"]);

/** The length-delimited fields of a protobuf message; this service has no others. */
function fields(bytes: Uint8Array): Array<[tag: number, value: Uint8Array]> {
  const found: Array<[number, Uint8Array]> = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++]! >> 3;
    let length = 0;
    for (let shift = 0;; shift += 7) {
      const byte = bytes[at++]!;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    found.push([tag, bytes.subarray(at, at += length)]);
  }
  return found;
}
