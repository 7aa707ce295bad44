/** A page for people, from the OpenAPI document. Pure; nothing is loaded from elsewhere. */
import type { Json } from "./openapi_components.ts";

/** HTML of the whole API. */
export function docsPage(document: Json): string {
  const info = document.info as { title: string; version: string; description: string };
  const paths = Object.entries(document.paths as Record<string, Record<string, Operation>>);
  const operations = paths.flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation }))
  );
  const tags = (document.tags as Array<{ name: string }>).map(({ name }) => name);
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag));
    return `<section><h2 id="${tag}">${escape(tag)}</h2>${own.map(operationHtml).join("\n")}</section>`;
  });
  const { schemas } = document.components as { schemas: Record<string, Json> };
  const schemaList = Object.entries(schemas).map(([id, schema]) =>
    `<details id="schema-${id}"><summary><code>${id}</code></summary><pre>${linked(schema)}</pre></details>`
  );
  const links = [...tags, "schemas"].map((tag) => `<a href="#${tag}">${escape(tag)}</a>`).join(" ");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(info.title)} API</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 13px/1.4 ui-monospace, monospace; } pre { overflow: auto; padding: .5rem; background: #8881; }
details { border-bottom: 1px solid #8883; padding: .3rem 0; } summary { cursor: pointer; }
table { border-collapse: collapse; } td { padding: .1rem .8rem .1rem 0; vertical-align: top; }
.method { display: inline-block; width: 4rem; font-weight: bold; } :root { color-scheme: light dark; }
</style></head><body>
<h1>${escape(info.title)} API <small>${escape(info.version)}</small></h1>
<p>${escape(info.description)}</p>
<p>Try it: <code>curl --unix-socket /run/lamina/lamina.sock http://lamina/v1/info</code>.
The same as data: <a href="/v1/openapi.json">/v1/openapi.json</a></p>
<nav>${links}</nav>
${sections.join("\n")}
<section><h2 id="schemas">schemas</h2>
${schemaList.join("\n")}</section>
</body></html>
`;
}

interface Operation {
  readonly tags: string[];
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: Array<{ name: string; in: string; required: boolean; description?: string; schema: Json }>;
  readonly requestBody?: { required: boolean; content: Record<string, { schema?: Json }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema?: Json }> }>;
}

function operationHtml(row: { path: string; method: string; operation: Operation }): string {
  const { path, method, operation } = row;
  const parameters = (operation.parameters ?? []).map((parameter) =>
    `<tr><td><code>${escape(parameter.name)}</code></td><td>${parameter.in}${
      parameter.required ? ", required" : ""
    }</td><td>${escape(parameter.description ?? "")} <code>${linked(parameter.schema)}</code></td></tr>`
  );
  const responses = Object.entries(operation.responses).map(([status, { description, content }]) =>
    `<tr><td>${status}</td><td>${contentHtml(content ?? {})}</td><td>${escape(description)}</td></tr>`
  );
  const body = operation.requestBody;
  return `<details id="${operation.operationId}"><summary><span class="method">${method.toUpperCase()}</span>
<code>${escape(path)}</code> ${escape(operation.summary)}</summary>
${operation.description === undefined ? "" : `<p>${escape(operation.description)}</p>`}
${parameters.length === 0 ? "" : `<h4>Parameters</h4><table>${parameters.join("")}</table>`}
${body === undefined ? "" : `<h4>Body${body.required ? "" : " (optional)"}</h4><p>${contentHtml(body.content)}</p>`}
<h4>Answers</h4><table>${responses.join("")}</table></details>`;
}

function contentHtml(content: Record<string, { schema?: Json }>): string {
  return Object.entries(content).map(([type, { schema }]) =>
    `<code>${escape(type)}</code>${schema === undefined ? "" : ` <code>${linked(schema)}</code>`}`
  ).join("<br>");
}

/** JSON with references made links. */
function linked(schema: Json): string {
  return escape(JSON.stringify(schema, null, 2)).replaceAll(
    /\{\s*&quot;\$ref&quot;: &quot;#\/components\/schemas\/(\w+)&quot;\s*\}/g,
    '<a href="#schema-$1">$1</a>',
  );
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
