import { assert, assertEquals, assertRejects } from "@std/assert";
import zlib from "node:zlib";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Digest } from "../../runtime/core/ids.ts";
import { backgroundOperation, type Operation, type ProgressEvent } from "../../runtime/core/operation.ts";
import type { LayerEngine, UnpackRequest } from "../../drivers/storage/layer/engine.ts";
import { createLayerEngine, type LayerEngineOptions } from "../../drivers/storage/layer/layer_engine.ts";
import type { Compression, LayerBlob, TarStream } from "../../drivers/storage/layer/types.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { treeOf } from "./support/apply.ts";
import { archive, concat, dir, file, hardlink, opaque, raw, symlink, whiteout } from "./support/tar_builder.ts";
import { describeTree, sh } from "./support/trees.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const operation = backgroundOperation();

interface Bench {
  readonly engine: LayerEngine;
  readonly path: string;
  /** Unpacks into `path/NAME`, with a recipe beside it. */
  unpack(
    blob: LayerBlob,
    name?: string,
    more?: Partial<UnpackRequest>,
    by?: Operation,
  ): ReturnType<LayerEngine["unpack"]>;
  /** Writes a blob between other bytes and gives its range. */
  blob(bytes: Bytes, more?: Partial<LayerBlob>): Promise<LayerBlob>;
}

/** An engine and a directory; afterwards no descriptor and no file is left but the trees that succeeded. */
async function withEngine(work: (bench: Bench) => Promise<void>, options: LayerEngineOptions = {}): Promise<void> {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  await using engine = createLayerEngine(options);
  let blobs = 0;
  await work({
    engine,
    path,
    async unpack(blob, name = "layer", more = {}, by = operation) {
      const directory = `${path}/${name}`;
      await Deno.mkdir(directory, { recursive: true });
      return await engine.unpack(
        { blob, directory, whiteouts: "overlay", recipePath: `${path}/${name}.recipe`, ...more },
        by,
      );
    },
    async blob(bytes, more = {}) {
      const name = `${path}/blob${blobs++}`;
      await Deno.writeFile(name, concat([raw("before"), bytes, raw("behind")]));
      return { source: { path: name, offset_bytes: 6, length_bytes: bytes.length }, compression: "auto", ...more };
    },
  });
}

async function digestOf(bytes: Bytes): Promise<Digest> {
  return `sha256:${new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()}` as Digest;
}

const gz = (bytes: Bytes) => new Uint8Array(zlib.gzipSync(bytes));
const zst = (bytes: Bytes) => new Uint8Array(zlib.zstdCompressSync(bytes));
const noise = crypto.getRandomValues(new Uint8Array(60_000));
const sample = archive([dir("."), dir("d"), file("d/f", "hello"), symlink("l", "d/f"), file("noise", noise)]);
const sampleTree = { d: "dir", "d/f": "file hello", l: "-> d/f" };

function withoutNoise(tree: Record<string, string>): Record<string, string> {
  const { noise: _, ...rest } = tree;
  return rest;
}

for (const [compression, pack] of [["none", (b: Bytes) => b], ["gzip", gz], ["zstd", zst]] as const) {
  for (const stated of [compression, "auto"] as Compression[]) {
    for (const from of ["file", "stream"] as const) {
      rootTest(
        `a ${compression} layer (said to be ${stated}) is unpacked from a ${from}, checked and measured`,
        async () => {
          await withEngine(async ({ unpack, blob, path, engine }) => {
            const packed = pack(sample);
            const [digest, diffId] = [await digestOf(packed), await digestOf(sample)];
            const expected = { compression: stated, digest, diffId };
            const source = from === "file"
              ? await blob(packed, expected)
              : { ...expected, source: ReadableStream.from([packed.slice(0, 100), packed.slice(100)]) as TarStream };
            const progress: ProgressEvent[] = [];
            const watched = { ...operation, progress: (event: ProgressEvent) => void progress.push(event) };
            const applied = await unpack(source, "layer", {}, watched);
            assertEquals(withoutNoise(treeOf(`${path}/layer`)), sampleTree);
            const usage = await engine.usage(`${path}/layer`, operation);
            assertEquals(applied, { digest, diffId, tar_bytes: sample.length, entries: 5, ...usage, warnings: [] });
            if (from === "file") assertEquals(progress.at(-1)?.current, packed.length);
            assertEquals(progress.every(({ phase, id }) => phase === "unpack" && id === digest), true);
            assertEquals(Deno.statSync(`${path}/layer.recipe`).mode! & 0o777, 0o600);
          });
        },
      );
    }
  }
}

const harms: Array<[what: string, harm: (bytes: Bytes) => Bytes]> = [
  ["cut short", (bytes) => bytes.slice(0, -3000)],
  ["with a byte changed", (bytes) => bytes.map((byte, i) => i === 30_000 ? byte ^ 1 : byte)],
  ["with bytes behind", (bytes) => concat([bytes, raw("more")])],
  ["empty", () => new Uint8Array(0)],
  ["of something else", () => raw("<html>404</html>".repeat(100))],
];
for (const [compression, pack] of [["plain", (b: Bytes) => b], ["gzip", gz], ["zstd", zst]] as const) {
  for (const [what, harm] of harms) {
    rootTest(`a ${compression} blob ${what} is DATA_LOSS when its digest is known, and leaves no recipe`, async () => {
      await withEngine(async ({ unpack, blob, path }) => {
        const digest = await digestOf(pack(sample));
        const harmed = await blob(harm(pack(sample)), { digest });
        const error = await assertRejects(() => unpack(harmed), LaminaError, digest);
        assertEquals(error.code, "DATA_LOSS");
        assertEquals((await sh(path, "ls")).trim().split("\n"), ["blob0", "layer"]);
      });
    });
  }

  rootTest(`a ${compression} blob that is cut short is INVALID_ARGUMENT when nobody knows its digest`, async () => {
    await withEngine(async ({ unpack, blob }) => {
      const packed = pack(sample);
      const cut = await blob(packed.slice(0, packed.length - 3000));
      const error = await assertRejects(() => unpack(cut), LaminaError);
      assertEquals(error.code, "INVALID_ARGUMENT");
    });
  });
}

rootTest("a blob of the right digest and the wrong diffID is DATA_LOSS", async () => {
  await withEngine(async ({ unpack, blob }) => {
    const error = await assertRejects(
      async () => await unpack(await blob(gz(sample), { diffId: await digestOf(noise) })),
      LaminaError,
      "uncompressed",
    );
    assertEquals(error.code, "DATA_LOSS");
  });
});

rootTest("a malformed archive of the right digest is the archive's fault", async () => {
  await withEngine(async ({ unpack, blob }) => {
    const bytes = archive([{ name: "../x" }]);
    const error = await assertRejects(
      async () => await unpack(await blob(bytes, { digest: await digestOf(bytes) })),
      LaminaError,
      '".."',
    );
    assertEquals(error.code, "INVALID_ARGUMENT");
  });
});

rootTest("a file that ends before its range does is DATA_LOSS, a missing one NOT_FOUND", async () => {
  await withEngine(async ({ unpack, blob, path }) => {
    const good = await blob(sample);
    const source = { ...good.source as { path: string; offset_bytes: number }, length_bytes: sample.length + 100_000 };
    assertEquals((await assertRejects(() => unpack({ ...good, source }), LaminaError)).code, "DATA_LOSS");
    const missing = { ...source, path: `${path}/nowhere` };
    assertEquals((await assertRejects(() => unpack({ ...good, source: missing }), LaminaError)).code, "NOT_FOUND");
    const nowhere = unpack(good, "layer", { directory: `${path}/nowhere` });
    assertEquals((await assertRejects(() => nowhere, LaminaError)).code, "NOT_FOUND");
  });
});

/** An archive without end: `count` entries of `content_bytes` zeros each. */
function endless(count: number, content_bytes: number): { stream: TarStream; taken: () => number } {
  let taken_bytes = 0;
  let made = 0;
  const content = new Uint8Array(content_bytes);
  const stream = new ReadableStream<Bytes>({
    pull(controller) {
      const some: Bytes[] = [];
      for (let i = 0; i * (content_bytes + 512) < 65_536 && made < count; i++) {
        some.push(archive([file(`f${made++}`, content)], { end: false }));
      }
      if (some.length === 0) return controller.close();
      const chunk = concat(some);
      taken_bytes += chunk.length;
      controller.enqueue(chunk);
    },
  }, { highWaterMark: 0 });
  return { stream, taken: () => taken_bytes };
}

rootTest("two million empty files stop at the limit of entries, long before they are all read", async () => {
  await withEngine(async ({ unpack }) => {
    const { stream, taken } = endless(2_000_000, 0);
    const error = await assertRejects(
      () => unpack({ source: stream, compression: "none" }, "layer", { limits: { maxEntries: 5_000 } }),
      LaminaError,
      "5000 entries",
    );
    assertEquals(error.code, "RESOURCE_EXHAUSTED");
    assert(taken() < 5_000 * 512 * 2, `${taken()} bytes were taken`);
  });
});

for (const [name, pack] of [["gzip", gz], ["zstd", zst]] as const) {
  rootTest(`a ${name} bomb stops at the limit, and memory stays where it was`, async () => {
    await withEngine(async ({ unpack, blob }) => {
      const bomb = await blob(
        pack(concat([archive([{ name: "big", size: 2 ** 33 }], { end: false }), new Uint8Array(400 << 20)])),
      );
      await unpack(await blob(sample), "warm");
      const before_bytes = Deno.memoryUsage().rss;
      const error = await assertRejects(
        () => unpack(bomb, "layer", { limits: { maxTar_bytes: 100 << 20 } }),
        LaminaError,
        "limit of 104857600",
      );
      assertEquals(error.code, "RESOURCE_EXHAUSTED");
      const more_bytes = Deno.memoryUsage().rss - before_bytes;
      assert(more_bytes < 100 << 20, `${more_bytes} bytes more`);
    });
  });
}

rootTest("a full file system is RESOURCE_EXHAUSTED", async () => {
  await withEngine(async ({ engine, path, blob }) => {
    await sh(path, "mkdir small; mount -t tmpfs -o size=1m none small; mkdir small/layer");
    try {
      const full = engine.unpack({
        blob: await blob(archive([file("big", new Uint8Array(3 << 20))])),
        directory: `${path}/small/layer`,
        whiteouts: "overlay",
      }, operation);
      const error = await assertRejects(() => full, LaminaError, '"/big": the disk is full');
      assertEquals(error.code, "RESOURCE_EXHAUSTED");
    } finally {
      await sh(path, "umount small");
    }
  });
});

rootTest(
  "a disk that turned read-only ends an unpack at once, however much of the archive is still to come",
  async () => {
    await withEngine(async ({ engine, path, blob }) => {
      await sh(path, "mkdir small; mount -t tmpfs none small; mkdir small/layer; mount -o remount,ro small");
      try {
        // More than fits between the one who reads and the one who writes.
        const large = await blob(archive([file("big", new Uint8Array(20 << 20))]));
        const unpacking = engine.unpack(
          { blob: large, directory: `${path}/small/layer`, whiteouts: "overlay" },
          { ...operation, signal: AbortSignal.timeout(60_000) },
        );
        const error = await assertRejects(() => unpacking, LaminaError, "read-only");
        assertEquals(error.code, "UNAVAILABLE");
      } finally {
        await sh(path, "umount small");
      }
    });
  },
);

rootTest(
  "an abort ends an unpack in the middle: no descriptors and no recipe are left, the engine goes on",
  async () => {
    await withEngine(async ({ unpack, blob, path }) => {
      await unpack(await blob(sample), "warm");
      const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
      const before = open();
      for (const waits of [true, false]) {
        const controller = new AbortController();
        const { stream } = endless(waits ? 300 : 1e9, 1000);
        // Either the job waits for bytes that never come, or it is busy with more and more of them.
        const stuck = waits ? concatStreams(stream, new ReadableStream<Bytes>()) : stream;
        const unpacking = unpack({ source: stuck, compression: "none" }, `aborted${waits}`, {}, {
          ...operation,
          signal: controller.signal,
        });
        setTimeout(() => controller.abort(new LaminaError("CANCELLED", "the client went away")), 150);
        const error = await assertRejects(() => unpacking, LaminaError, "the client went away");
        assertEquals(error.code, "CANCELLED");
      }
      assertEquals((await sh(path, "ls -d *recipe*")).trim(), "warm.recipe");
      assertEquals(open(), before);
      await unpack(await blob(sample), "after");
    });
  },
);

function concatStreams(first: TarStream, second: TarStream): TarStream {
  return ReadableStream.from((async function* () {
    yield* first;
    yield* second;
  })()) as TarStream;
}

rootTest("failures leave no descriptors open", async () => {
  await withEngine(async ({ unpack, blob }) => {
    const bad = [
      archive([dir("a"), file("a/b", "x"), { name: "../x" }]),
      archive([file("a", "x".repeat(2000))]).slice(0, 1000),
      archive([file("a", "1"), file("a", "2"), hardlink("b", "nowhere")]),
    ];
    await assertRejects(async () => await unpack(await blob(bad[0]!)));
    const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = open();
    for (const bytes of [...bad, ...bad.map(gz)]) await assertRejects(async () => await unpack(await blob(bytes)));
    assertEquals(open(), before);
  });
});

rootTest("layers unpack at the same time although each waits for its parent and there is one slot", async () => {
  await withEngine(async ({ unpack, blob, path }) => {
    const count = 5;
    const done: Array<Promise<unknown>> = [];
    // The topmost layer takes the slot first.
    for (let i = count - 1; i >= 0; i--) {
      const layer = archive(
        i === 0 ? [dir("d", { mode: 0o750 }), file("d/0")] : [file(`d/${i}`), hardlink(`l${i}`, "d/0")],
      );
      done[i] = unpack(await blob(layer), `l${i}`, {
        lowers: async () => {
          if (i > 0) await done[i - 1];
          return Array.from({ length: i }, (_, k) => `${path}/l${i - 1 - k}`);
        },
      });
    }
    await Promise.all(done);
    assertEquals((await sh(path, "stat -c %a l0/d l4/d")).trim(), "750\n750");
    assertEquals(treeOf(`${path}/l4`), { d: "dir", "d/0": "file d/0", "d/4": "file d/4", l4: "file d/0" });
  }, { slots: { unpack: 1 } });
});

rootTest("what is to fail for a parent fails its child with the parent's own code", async () => {
  await withEngine(async ({ unpack, blob }) => {
    const lowers = () => Promise.reject(new LaminaError("DATA_LOSS", "the parent is corrupt"));
    const error = await assertRejects(
      async () => await unpack(await blob(archive([file("d/x")])), "l", { lowers }),
      LaminaError,
      "parent is corrupt",
    );
    assertEquals(error.code, "DATA_LOSS");
  });
});

rootTest("the changes of a layer, piped into an unpack, give the same layer, with one slot of each kind", async () => {
  await withEngine(async ({ engine, unpack, blob, path }) => {
    await unpack(await blob(archive([dir("."), dir("d"), file("d/x"), dir("e"), file("e/y")])), "base");
    const layer = archive([
      dir("."),
      dir("d"),
      whiteout("d/x"),
      file("d/new", noise),
      dir("e"),
      opaque("e"),
      file("e/z"),
    ]);
    const lowers = () => Promise.resolve([`${path}/base`]);
    await unpack(await blob(layer), "layer", { lowers });
    const copies = [1, 2, 3].map((i) => {
      const tar = engine.tar(
        { kind: "overlay", upper: `${path}/layer`, lowers: [`${path}/base`], form: "overlay" },
        operation,
      );
      return unpack({ source: tar, compression: "none" }, `copy${i}`, { lowers });
    });
    const [one, two] = await Promise.all(copies);
    assertEquals(one!.diffId, two!.diffId);
    assertEquals(treeOf(`${path}/copy1`), treeOf(`${path}/layer`));
    // Whiteouts have the time at which they were made; it means nothing.
    await sh(path, "touch -h -d @0 copy1/d/x layer/d/x; touch -d @0 copy1/d layer/d");
    assertEquals(await describeTree(`${path}/copy1`), await describeTree(`${path}/layer`));
  }, { slots: { unpack: 1, stream: 1 } });
});

rootTest("memory does not grow with the size of a layer", async () => {
  await withEngine(async ({ unpack, blob }) => {
    await unpack(await blob(sample), "warm");
    const before_bytes = Deno.memoryUsage().rss;
    const { stream } = endless(1000, 1 << 19); // 500 MiB
    await unpack({ source: stream, compression: "none" });
    const more_bytes = Deno.memoryUsage().rss - before_bytes;
    assert(more_bytes < 200 << 20, `${more_bytes} bytes more`);
  });
});
