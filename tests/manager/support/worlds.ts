/** Worlds for the plan, from a line of text; the grammar is in `plan_test.ts`. */
import type { PlanInput } from "../../../runtime/volume/manager/plan.ts";
import {
  type ActualFacts,
  type DesiredFacts,
  type DeviceFacts,
  deviceKey,
  type VolumeState,
} from "../../../runtime/volume/manager/states.ts";

const NOW_MS = 1000;
const VOLUME_STATES: Record<string, VolumeState> = { M: "Mounted", U: "Uncertain", N: "NotMounted" };

/** `desired | volumes | devices | circumstances`. */
export function parseWorlds(text: string): PlanInput {
  const [desired, volumes, devices, circumstances] = text.split("|").map((part) => part.trim());
  const facts = (circumstances ?? "").split(";").map((part) => part.trim()).filter(Boolean);
  const after = (word: string) => facts.filter((f) => f.startsWith(`${word} `)).map((f) => f.slice(word.length + 1));
  return {
    desired: new Map(words(desired!).map((word) => [word.split(":")[0]!, parseDesired(word)])),
    volumes: new Map(words(volumes!).map((word) => [word.split(":")[0]!, parseVolume(word)])),
    devices: new Map(
      words(devices!).map((word) => {
        const device = parseDevice(word);
        return [device.key, device];
      }),
    ),
    roots: after("broken").map((id) => ({ id, broken: true })),
    running: new Set(after("busy")),
    notBefore_ms: new Map(after("wait").map((id) => [id, NOW_MS + 500])),
    now_ms: NOW_MS,
    complete: !facts.includes("early"),
  };
}

function words(text: string): string[] {
  return text.split(" ").filter(Boolean);
}

/** What a volume is, wanted or there. */
function parseCommon(word: string) {
  const [, key, kind, device] = /^([^:]+):(own|att|dev)(?:@(\w+))?/.exec(word)!;
  const mark = (sign: string) => Number(new RegExp(`\\${sign}(\\d+)`).exec(word)?.[1] ?? NaN);
  const known = (value: number) => Number.isNaN(value) ? undefined : value;
  return {
    key: key!,
    workloadUid: key!.split("/")[0]!,
    deviceKey: deviceKey("test/p", device ?? key!),
    attachable: kind === "att",
    deviceMountable: kind !== "own",
    revision: String(known(mark("#")) ?? 1),
    refresh: known(mark("~")) ?? 0,
    size_bytes: known(mark("+")),
  };
}

function parseDesired(word: string): DesiredFacts {
  return { ...parseCommon(word), exclusive: word.includes("!") };
}

function parseVolume(word: string): ActualFacts {
  return { ...parseCommon(word), state: VOLUME_STATES[/=([MUN])/.exec(word)![1]!]! };
}

function parseDevice(word: string): DeviceFacts {
  const [, id, attach, device] = /^(\w+)=([NYU]),([NGU])$/.exec(word)!;
  return {
    key: deviceKey("test/p", id!),
    attach: ({ N: "No", Y: "Yes", U: "Uncertain" } as const)[attach as "N"],
    device: ({ N: "NotMounted", G: "GloballyMounted", U: "Uncertain" } as const)[device as "N"],
  };
}
