/** `docker commit`. */
import * as z from "zod";
import { LaminaError } from "../../../core/errors.ts";
import { ConfigBody } from "../container_body.ts";
import type { JsonObject } from "../container_config.ts";
import { findContainer, imageOf } from "../container_lookup.ts";
import { dockerConfig } from "../container_shape.ts";
import { stringMap } from "../image_shape.ts";
import { referenceOf } from "../image_names.ts";
import { flag, text, texts } from "../query.ts";
import { type DockerRoute, dockerRoute, json } from "../route.ts";

/** See the head of the file. */
export const commitRoutes: readonly DockerRoute[] = [
  dockerRoute({
    methods: "POST",
    path: "/commit",
    query: z.object({
      container: text,
      repo: text,
      tag: text,
      comment: text,
      author: text,
      pause: flag,
      changes: texts,
    }),
    body: ConfigBody,
    lane: "long",
    async handler({ runtime, query, body, operation }) {
      if (query.container === undefined) {
        throw new LaminaError("INVALID_ARGUMENT", "Invalid request: query.container is missing");
      }
      const reference = referenceOf(query.repo, query.tag);
      const container = await findContainer(runtime, query.container, operation);
      const image = imageOf(runtime, container).config;
      const { id } = await runtime.containers.commit(container.id, {
        ...(reference === undefined ? {} : { reference }),
        ...(query.author === undefined ? {} : { author: query.author }),
        ...(query.comment === undefined ? {} : { message: query.comment }),
        changes: [
          ...ownChanges(dockerConfig(container, image), image),
          ...bodyChanges(body),
          // Several lines in one value: how clients without lists send them.
          ...query.changes.flatMap((lines) => lines.split("\n")).filter((line) => line.trim() !== ""),
        ],
      }, operation);
      return json({ Id: id }, 201);
    },
  }),
];

/** Characters of a line of labels: a change has 4,096 at most, unless one label needs them alone. */
const LABEL_LINE = 3000;

/** What Docker keeps of a container besides what Lamina itself does: labels, anonymous volumes, ports. */
function ownChanges(config: JsonObject, image: JsonObject): string[] {
  const ofImage = stringMap(image.Labels);
  const lines: string[] = [];
  for (const [key, value] of Object.entries(stringMap(config.Labels))) {
    if (ofImage[key] === value) continue;
    const label = pair(key, value);
    const last = lines.at(-1);
    if (last !== undefined && last.length + label.length < LABEL_LINE) lines[lines.length - 1] = `${last} ${label}`;
    else lines.push(`LABEL ${label}`);
  }
  const volumes = Object.keys(config.Volumes ?? {});
  const ports = Object.keys(config.ExposedPorts ?? {});
  return [
    ...lines,
    ...(volumes.length === 0 ? [] : [`VOLUME ${JSON.stringify(volumes)}`]),
    ...(ports.length === 0 ? [] : [`EXPOSE ${ports.join(" ")}`]),
  ];
}

/** What the body replaces, as lines of a Dockerfile. */
function bodyChanges(body: ConfigBody): string[] {
  if (!body) return [];
  return [
    ...(body.User ? [`USER ${body.User}`] : []),
    ...(body.WorkingDir ? [`WORKDIR ${body.WorkingDir}`] : []),
    ...(body.Entrypoint ? [`ENTRYPOINT ${JSON.stringify(body.Entrypoint)}`] : []),
    ...(body.Cmd ? [`CMD ${JSON.stringify(body.Cmd)}`] : []),
    ...(body.Env ?? []).filter((line) => line.indexOf("=") > 0).map((line) => {
      const equals = line.indexOf("=");
      return `ENV ${pair(line.slice(0, equals), line.slice(equals + 1))}`;
    }),
    ...Object.entries(body.Labels ?? {}).map(([key, value]) => `LABEL ${pair(key, value)}`),
    ...Object.keys(body.Volumes ?? {}).map((target) => `VOLUME ${JSON.stringify([target])}`),
    ...Object.keys(body.ExposedPorts ?? {}).map((port) => `EXPOSE ${port}`),
  ];
}

function pair(key: string, value: string): string {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  return `${quoted(key)}=${quoted(value)}`;
}
