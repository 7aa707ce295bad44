import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { createReadStream, createWriteStream } from "node:fs";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import Docker from "dockerode";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { importSmallImage, startDocker } from "./support/docker_client.ts";

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

rootTest("an engine on dockerode has volumes, images and containers with their files", async () => {
  await using it = await startDocker();
  const { directory } = it;
  const docker = new Docker({ socketPath: it.socket, version: "v1.41" });
  // Lines of progress until the end; an error in them is one of the call.
  // deno-lint-ignore no-explicit-any
  const finished = (stream: Readable): Promise<any[]> =>
    new Promise((resolve, reject) =>
      docker.modem.followProgress(
        stream,
        (error: Error | null, lines: unknown[]) => error ? reject(error) : resolve(lines),
      )
    );

  assertEquals(String(await docker.ping()), "OK");
  assertEquals((await docker.version()).ApiVersion, "1.47");
  assertEquals((await docker.info()).Driver, "overlay");
  const volume = await docker.createVolume({ Name: "data", Labels: { tier: "db" } });
  assertEquals((await volume.inspect()).Labels, { tier: "db" });
  assertEquals(
    (await docker.listVolumes({ filters: { label: ["tier=db"] } })).Volumes.map((v: { Name: string }) => v.Name),
    ["data"],
  );
  // With an end of its own: Deno's node:http takes it ill when a stream is destroyed.
  const until = Math.ceil(Date.now() / 1000) + 1;
  const events = await docker.getEvents({ since: 0, until, filters: JSON.stringify({ type: ["volume"] }) });
  assertEquals(JSON.parse((await textOf(events)).split("\n")[0]!).Actor.ID, "data");

  await importSmallImage(it, "web:1");
  const image = docker.getImage("web:1");
  await pipeline(await image.get(), createWriteStream(join(directory, "saved.tar")));
  await image.tag({ repo: "team/web", tag: "2" });
  assertEquals((await image.inspect()).RepoTags, ["team/web:2", "web:1"]);
  assertEquals((await image.history()).length, 1);
  assertEquals((await image.remove({ force: true }))[0], { Untagged: "web:1" });
  await docker.getImage("team/web:2").remove();
  const lines = await finished(await docker.loadImage(createReadStream(join(directory, "saved.tar"))));
  assertStringIncludes(JSON.stringify(lines), "Loaded image: web:1");
  const imported = await finished(
    await docker.importImage(createReadStream(join(directory, "small.tar")), { repo: "imported", tag: "1" }),
  );
  assertEquals(imported.at(-1).status, (await docker.getImage("imported:1").inspect()).Id);
  assertEquals((await docker.listImages({ filters: { reference: ["w*"] } })).length, 1);
  await assertRejects(() => docker.pull("web:1"), Error, "downloads nothing");

  const container = await docker.createContainer({
    Image: "web:1",
    name: "shop",
    Cmd: ["serve"],
    Labels: { tier: "front" },
    HostConfig: { Binds: ["data:/d"], Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1 << 20 } }] },
  });
  const shown = await container.inspect();
  assertEquals([shown.Name, shown.State.Status, shown.Mounts[0].Name], ["/shop", "created", "data"]);
  assertEquals((await docker.listContainers({ all: true, filters: { label: ["tier"] } }))[0].Names, ["/shop"]);
  const archive = await new Deno.Command("tar", { args: ["-C", directory, "-c", "saved.tar"], stdout: "piped" })
    .output();
  await container.putArchive(Buffer.from(archive.stdout), { path: "/etc" });
  const changes: { Path: string; Kind: number }[] = await container.changes();
  assertEquals(changes.filter(({ Path }) => Path.startsWith("/etc")), [{ Path: "/etc", Kind: 0 }, {
    Path: "/etc/saved.tar",
    Kind: 1,
  }]);
  assertStringIncludes(await textOf(await container.getArchive({ path: "/etc/motd" })), "hello");
  const info = await container.infoArchive({ path: "/etc/motd" });
  const stat = JSON.parse(Buffer.from(info.headers["x-docker-container-path-stat"], "base64").toString());
  assertEquals([stat.name, stat.size, stat.mode], ["motd", 6, 0o644]);
  const { Id } = await container.commit({ repo: "web", tag: "committed", comment: "from dockerode" });
  assertEquals((await docker.getImage("web:committed").inspect()).Id, Id);
  assert((await textOf(await container.export())).length > 1024);
  await container.rename({ name: "store" });
  assertEquals((await container.inspect()).Name, "/store");
  const refusal = await assertRejects(() => container.start()) as Error & { statusCode: number };
  assertEquals(refusal.statusCode, 501);
  assertStringIncludes(refusal.message, "does not run processes");
  const inUse = await assertRejects(() => volume.remove()) as Error & { statusCode: number };
  assertEquals(inUse.statusCode, 409);
  assertEquals((await docker.df()).Volumes[0].UsageData.RefCount, 1);

  await container.remove({ v: true, force: true });
  const gone = await assertRejects(() => container.inspect()) as Error & { statusCode: number };
  assertEquals(gone.statusCode, 404);
  await volume.remove();
  assertEquals((await docker.listVolumes()).Volumes, []);
  assertEquals((await docker.pruneContainers()).ContainersDeleted, []);
  assertEquals((await docker.pruneImages({ filters: { dangling: { false: true } } })).ImagesDeleted.length > 0, true);
  assertEquals(await docker.listImages(), []);
});
