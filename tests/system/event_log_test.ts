import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Event } from "../../runtime/core/specs/system.ts";
import { EVENT_LIMIT, EventLog } from "../../runtime/system/event_log.ts";

const event = (id: string) => ({ kind: "volume", action: "create", id }) as const;

Deno.test("a listener gets what is remembered since a sequence number, then what happens", async () => {
  const log = new EventLog(1000);
  for (const id of ["a", "b", "c"]) log.emit(event(id));
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const { id, sequence } of log.listen(1_000_001, stop.signal)) {
    seen.push(`${id}${sequence}`);
    if (seen.length === 2) log.emit(event("d"));
    if (seen.length === 3) stop.abort();
  }
  assertEquals(seen, ["b1000002", "c1000003", "d1000004"]);
});

Deno.test("without a sequence number a listener gets only what is to come, and ends with its signal", async () => {
  const log = new EventLog(1000);
  log.emit(event("before"));
  const stop = new AbortController();
  const listening = Array.fromAsync(log.listen(undefined, stop.signal));
  await Promise.resolve();
  log.emit(event("after"));
  await new Promise((resolve) => setTimeout(resolve, 0));
  stop.abort();
  assertEquals((await listening).map(({ id }) => id), ["after"]);
});

Deno.test("the ring forgets the oldest, and the gap shows in the sequence numbers", async () => {
  const log = new EventLog(0);
  for (let i = 0; i < EVENT_LIMIT + 10; i++) log.emit(event(`e${i}`));
  const stop = new AbortController();
  const seen: Event[] = [];
  for await (const one of log.listen(0, stop.signal)) {
    seen.push(one);
    if (seen.length === EVENT_LIMIT) stop.abort();
  }
  assertEquals(seen[0]!.sequence, 11);
  assertEquals(seen.at(-1)!.sequence, EVENT_LIMIT + 10);
});

Deno.test("a listener that does not read is told so and holds up nobody", async () => {
  const log = new EventLog(0);
  const slow = log.listen(undefined, new AbortController().signal);
  const first = slow.next();
  for (let i = 0; i <= EVENT_LIMIT + 1; i++) log.emit(event(`e${i}`));
  assert(!(await first).done);
  const error = await assertRejects(async () => {
    for await (const _ of slow) { /* what was queued */ }
  }, LaminaError);
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
});
