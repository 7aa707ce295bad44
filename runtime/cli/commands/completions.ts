/** `lamina completions SHELL`, and the hidden command that the scripts call. */
import type { Container } from "../../core/specs/container.ts";
import type { ImageSummary } from "../../core/specs/image.ts";
import type { Volume } from "../../core/specs/volume.ts";
import { openBackend } from "../backend.ts";
import { Client } from "../client.ts";
import { type Command, command, type Completion } from "../command.ts";
import { COMMANDS } from "../command_table.ts";
import { suggest } from "../completion.ts";
import { completionScript, SHELLS } from "../completion_scripts.ts";
import { kubeKindNamed } from "../../core/specs/kube/kinds.ts";
import { DEFAULT_NAMESPACE } from "../kube_objects.ts";
import { listObjects } from "../object_lists.ts";
import { nearest } from "../suggest.ts";
import { UsageError } from "../parse.ts";

const completions = command({
  words: ["completions"],
  summary: "Print a completion script for bash, zsh or fish",
  arguments: [{ name: "SHELL", help: "bash, zsh or fish", complete: SHELLS }],
  examples: [
    ["completions bash > /etc/bash_completion.d/lamina", "for all users of bash"],
    ["completions fish > ~/.config/fish/completions/lamina.fish", "for yourself in fish"],
  ],
  run({ arguments: [name], output }) {
    const shell = SHELLS.find((known) => known === name);
    if (shell === undefined) {
      const guess = nearest(name!, SHELLS);
      throw new UsageError(
        `No completions for ${JSON.stringify(name)}: bash, zsh or fish`,
        guess === undefined ? undefined : `did you mean ${guess}?`,
      );
    }
    output.line(completionScript(shell).trimEnd());
    return Promise.resolve();
  },
});

/** Milliseconds that somebody who pressed Tab waits for the daemon. */
const PATIENCE_MS = 1000;

const complete = command({
  words: ["__complete"],
  summary: "Print what may come next",
  hidden: true,
  arguments: [{
    name: "WORD",
    help: "the words after lamina, the last one unfinished",
    optional: true,
    repeated: true,
  }],
  examples: [["__complete -- image ins", "inspect"]],
  async run({ arguments: words, output, place, signal, log }) {
    const suggestion = suggest(COMMANDS, words);
    if (suggestion.kind === "words") return suggestion.words.forEach((word) => output.line(word));
    const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
    // Pressing Tab never opens a root: names come from a daemon or not at all.
    const open = async () => new Client(await openBackend({ ...place, embedded: false, daemonOnly: true, log }));
    if (suggestion.kind === "objects") {
      const { of, namespace = DEFAULT_NAMESPACE, before, prefix } = suggestion;
      const kind = kubeKindNamed(of);
      if (kind === undefined) return;
      await using client = await open();
      for (const { metadata: { name } } of await listObjects(client, kind, { namespace, signal: patience })) {
        if (name.startsWith(prefix)) output.line(`${before}${name}`);
      }
      return;
    }
    const { what, prefix } = suggestion;
    if (what === "file" || what === "directory") return output.line(`:${what}`);
    if (what === "container-path" && (prefix.startsWith("/") || prefix.startsWith("."))) return output.line(":file");
    await using client = await open();
    for (const name of await names(client, what, patience)) {
      if (name.startsWith(prefix)) output.line(what === "container-path" ? `${name}:` : name);
    }
    if (what === "container-path") output.line(":file");
  },
});

async function names(client: Client, what: Completion, signal: AbortSignal): Promise<string[]> {
  switch (what) {
    case "image": {
      const images = await client.json<ImageSummary[]>("GET", "/v1/images", { signal });
      return images.flatMap(({ references, id }) => references.length > 0 ? references : [id]);
    }
    case "container":
    case "container-path":
      return (await client.json<Container[]>("GET", "/v1/containers", { signal })).map(({ name }) => name);
    case "volume":
      return (await client.json<Volume[]>("GET", "/v1/volumes", { signal })).map(({ name }) => name);
    default:
      return [];
  }
}

/** See the head of the file. */
export const completionCommands: readonly Command[] = [completions, complete];
