/** `deno task docs`: the library's, the API's and the command line's reference in `dist/docs`. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { docsPage } from "../../runtime/api/docs_page.ts";
import { openApiDocument } from "../../runtime/api/openapi.ts";
import { ROUTES } from "../../runtime/api/route_table.ts";
import { commandReference } from "../../runtime/cli/reference.ts";
import { project } from "../architecture/sources.ts";
import { say } from "./say.ts";

const target = join(project, "dist/docs");
await Deno.mkdir(target, { recursive: true });
await commandOutput(Deno.execPath(), [
  "doc",
  "--quiet",
  "--html",
  "--name=Lamina",
  `--output=${target}/library`,
  "mod.ts",
], {
  cwd: project,
});
const document = openApiDocument(ROUTES);
await Deno.writeTextFile(join(target, "openapi.json"), JSON.stringify(document, null, 2));
await Deno.writeTextFile(join(target, "api.html"), docsPage(document));
await Deno.writeTextFile(join(target, "command-line.md"), commandReference());
say("dist/docs/library/index.html  the library");
say("dist/docs/api.html            the API, for people");
say("dist/docs/openapi.json        the API, for programs");
say("dist/docs/command-line.md     the command line");
