/** The API's description of itself. Made at the first request: start-up does not pay for it. */
import * as z from "zod";
import { type Route, route } from "../route.ts";

/** @param all Every row of the table, these two included. */
export function docsRoutes(all: () => readonly Route[]): readonly Route[] {
  return [
    route({
      id: "docs.openapi",
      method: "GET",
      path: "/v1/openapi.json",
      summary: "This API as OpenAPI 3.1",
      response: { kind: "json", schema: z.record(z.string(), z.unknown()) },
      handler: async () => (await import("../openapi.ts")).openApiDocument(all()),
    }),
    route({
      id: "docs.page",
      method: "GET",
      path: "/v1/docs",
      summary: "This API for people",
      response: { kind: "html" },
      handler: async () => {
        const { openApiDocument } = await import("../openapi.ts");
        const { docsPage } = await import("../docs_page.ts");
        return docsPage(openApiDocument(all()));
      },
    }),
  ];
}
