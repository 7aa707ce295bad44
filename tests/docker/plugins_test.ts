import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { startFakePlugin } from "../plugin_protocol/support/fake_plugin.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { importSmallImage, startDocker } from "./support/docker_client.ts";

rootTest(
  "docker sees the volumes that plugins have, their status, and the plugins; a dead one is a warning",
  async () => {
    await using scratch = await scratchDirectory();
    const places = join(scratch.path, "plugins"), data = join(scratch.path, "data");
    await Deno.mkdir(places);
    await using plugin = await startFakePlugin(join(places, "shelf.sock"), data);
    const volume = (Name: unknown) => ({ Name, Status: { shelf: 7 } });
    plugin.on("VolumeDriver.List", () => ({ Volumes: [volume("books")] }));
    plugin.on("VolumeDriver.Get", ({ Name }) => Name === "books" ? { Volume: volume(Name) } : { Err: "none" });
    await Deno.mkdir(join(data, "books"));
    await Deno.writeTextFile(join(places, "dead.spec"), `unix://${places}/nobody.sock`);
    await using it = await startDocker({ LAMINA_VOLUME_PLUGINS: places });
    await it.docker("volume", "create", "mine");
    const listed = await it.shell("docker volume ls --format '{{.Driver}} {{.Name}}'; lamina=$?; exit $lamina");
    assertEquals(listed.stdout, "shelf books\nlocal mine\n");
    const api = Deno.createHttpClient({ proxy: { transport: "unix", path: it.socket } });
    const { Warnings } = await (await fetch("http://d/v1.41/volumes", { client: api } as RequestInit)).json();
    api.close();
    assertMatch(Warnings.join(), /plugin "dead" failed/);
    assertStringIncludes(await it.daemon.lamina("volume", "ls"), "books");
    const [shown] = JSON.parse(await it.docker("volume", "inspect", "books"));
    assertEquals([shown.Driver, shown.Scope, shown.Status, shown.Options], ["shelf", "global", { shelf: 7 }, null]);
    assertEquals(await it.docker("info", "-f", "{{json .Plugins.Volume}}"), '["local","dead","shelf"]');
    await importSmallImage(it, "web:1");
    await it.docker("create", "--name", "reader", "-v", "books:/b", "web:1", "true");
    assertEquals(
      await it.docker("inspect", "-f", "{{range .Mounts}}{{.Name}} {{.Driver}}{{end}}", "reader"),
      "books shelf",
    );
    const root = (await it.daemon.lamina("container", "mount", "reader")).trim();
    await Deno.writeTextFile(join(root, "b/page"), "1");
    assertEquals(await Deno.readTextFile(join(data, "books/page")), "1");
    assertStringIncludes(await it.refused("volume", "rm", "books"), "is used by");
    await it.daemon.lamina("container", "unmount", "reader");
    assertStringIncludes(
      await it.refused("volume", "create", "-d", "nobody", "x1"),
      "Known drivers: local, dead, shelf",
    );
  },
);
