import { assertEquals } from "@std/assert";
import { type Found, reconcile } from "../../drivers/storage/devicemapper/reconcile.ts";

interface Ids {
  readonly rows?: number[];
  readonly devices?: number[];
  readonly kept?: number[];
  readonly reserved?: number;
  readonly transactionId?: number;
}

const found = ({ rows, devices, kept, reserved = 0, transactionId = 0 }: Ids): Found => ({
  reserved,
  transactionId,
  rows: new Set(rows),
  devices: new Set(devices),
  kept: new Set(kept),
});

Deno.test("a pool that agrees with the database stays as it is", () => {
  assertEquals(reconcile(found({ rows: [1, 2], devices: [2, 1], reserved: 2, transactionId: 2 })), {
    discard: [],
    kept: [],
    missing: [],
    reserved: 2,
    nextId: 3,
  });
});

Deno.test("a crash before the pool took the id rolls the pool forward", () => {
  const plan = reconcile(found({ rows: [1], devices: [1], reserved: 2, transactionId: 1 }));
  assertEquals([plan.reserved, plan.nextId, plan.discard], [2, 3, []]);
});

Deno.test("a device that was made without a row, or whose row went first, is discarded", () => {
  assertEquals(reconcile(found({ rows: [1], devices: [1, 2, 3], reserved: 3, transactionId: 3 })).discard, [2, 3]);
  assertEquals(reconcile(found({ rows: [3], devices: [1, 3], reserved: 3, transactionId: 3 })).discard, [1]);
});

Deno.test("a database that came back from a backup costs no device", () => {
  const plan = reconcile(found({ rows: [1, 2], devices: [1, 3, 5], reserved: 2, transactionId: 5 }));
  assertEquals(plan, { discard: [], kept: [3, 5], missing: [2], reserved: 5, nextId: 6 });
});

Deno.test("what was kept once is kept at every later start", () => {
  const plan = reconcile(
    found({ rows: [1, 6], devices: [1, 3, 5, 6, 7], reserved: 7, transactionId: 7, kept: [3, 5] }),
  );
  assertEquals([plan.kept, plan.discard], [[3, 5], [7]]);
});

Deno.test("what was kept and is gone, or has a row again, is not kept any more", () => {
  assertEquals(
    reconcile(found({ rows: [3], devices: [3], reserved: 7, transactionId: 7, kept: [3, 5] })).kept,
    [],
  );
});

Deno.test("a row without a device is reported", () => {
  assertEquals(reconcile(found({ rows: [1, 4], devices: [1], reserved: 4, transactionId: 4 })).missing, [4]);
});

Deno.test("no id that a device or row has is given again", () => {
  assertEquals(reconcile(found({ rows: [9], devices: [12], reserved: 3, transactionId: 3 })).nextId, 13);
});

Deno.test("after a crash at any step the same state is reached again, from any history", () => {
  // The steps of making snapshots 1 to 4 in turn, each of them a state that a crash may leave.
  const rows = new Set<number>(), devices = new Set<number>();
  let reserved = 0, transactionId = 0;
  const states: Found[] = [];
  const note = () => states.push(found({ rows: [...rows], devices: [...devices], reserved, transactionId }));
  for (let id = 1; id <= 4; id++) {
    for (
      const step of [() => reserved = id, () => transactionId = id, () => devices.add(id), () => rows.add(id)]
    ) {
      step();
      note();
    }
    if (id % 2 === 0) {
      rows.delete(id - 1);
      note();
      devices.delete(id - 1);
      note();
    }
  }
  for (const state of states) {
    const plan = reconcile(state);
    const left = [...state.devices].filter((id) => !plan.discard.includes(id));
    assertEquals(new Set(left), state.rows, JSON.stringify(plan));
    assertEquals([plan.kept, plan.missing], [[], []]);
    // A second start finds nothing to do.
    const again = reconcile({
      ...state,
      devices: new Set(left),
      reserved: plan.reserved,
      transactionId: plan.reserved,
    });
    assertEquals([again.discard, again.kept, again.reserved], [[], [], plan.reserved]);
  }
});
