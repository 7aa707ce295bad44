import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { docsPage } from "../../runtime/api/docs_page.ts";
import { openApiDocument } from "../../runtime/api/openapi.ts";
import { Router } from "../../runtime/api/router.ts";
import { ROUTES } from "../../runtime/api/route_table.ts";
import { fakeRuntime } from "./support/fake_runtime.ts";

const document = openApiDocument(ROUTES);
const schemas = (document.components as { schemas: Record<string, unknown> }).schemas;

Deno.test("the OpenAPI document is version 3.1 and has every route of the table", () => {
  assertEquals(document.openapi, "3.1.0");
  const paths = document.paths as Record<string, Record<string, { operationId: string }>>;
  const described = Object.values(paths).flatMap((item) => Object.values(item).map((o) => o.operationId)).sort();
  assertEquals(described, ROUTES.map((route) => route.id).sort());
  assertEquals(new Set(described).size, described.length, "operationIds are unique");
});

Deno.test("every reference of the OpenAPI document leads to a schema, and every schema is used", () => {
  const text = JSON.stringify(document);
  const named = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!));
  for (const reference of named) assert(reference.replace("#/components/schemas/", "") in schemas, reference);
  for (const id of Object.keys(schemas)) {
    if (id === "StreamLine" || id === "ErrorBody") continue;
    assert(named.has(`#/components/schemas/${id}`), `${id} is used nowhere`);
  }
});

Deno.test("a field with a default is optional where it is sent and certain where it is received", () => {
  const required = (id: string) => (schemas[id] as { required: string[] }).required;
  assertEquals(required("ContainerCreate"), ["image"]);
  assertEquals(required("VolumeMountSpec"), ["type", "target"]);
  assert(required("VolumeMount").includes("read_only"));
});

Deno.test("path parameters of the OpenAPI document are those of the path", () => {
  for (const route of ROUTES) {
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
    assertEquals(Object.keys(route.params?.shape ?? {}), inPath, route.id);
  }
});

Deno.test("the page for people names every route and loads nothing from elsewhere", () => {
  const page = docsPage(document);
  for (const route of ROUTES) assertStringIncludes(page, `<code>${route.path}</code>`);
  assertEquals(/(src|href)="(?!#|\/v1\/)/.test(page), false);
});

Deno.test("the daemon serves its own description", async () => {
  const router = new Router({ runtime: fakeRuntime() });
  const json = await router.fetch(new Request("http://lamina/v1/openapi.json"));
  assertEquals((await json.json()).openapi, "3.1.0");
  const page = await router.fetch(new Request("http://lamina/v1/docs"));
  assertEquals(page.headers.get("content-type"), "text/html; charset=utf-8");
  assertStringIncludes(await page.text(), "<!doctype html>");
});
