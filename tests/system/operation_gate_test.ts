import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation, type Operation } from "../../runtime/core/operation.ts";
import { OperationGate, throughGate } from "../../runtime/system/operation_gate.ts";

Deno.test("closing waits for what runs, then refuses everything", async () => {
  const gate = new OperationGate();
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = gate.run(backgroundOperation(), () => promise);
  assertEquals(gate.running, 1);
  const closing = gate.close(60_000, 60_000);
  const refused = await assertRejects(() => gate.run(backgroundOperation(), () => Promise.resolve()), LaminaError);
  assertEquals(refused.code, "UNAVAILABLE");
  resolve("done");
  assertEquals(await running, "done");
  await closing;
  assertEquals(gate.running, 0);
});

Deno.test("what does not end in its grace is aborted, rolls back, and is waited for", async () => {
  const gate = new OperationGate();
  let rolledBack = false;
  const running = gate.run(backgroundOperation(), async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await new Promise((resolve) => setTimeout(resolve, 5));
    rolledBack = true;
    signal.throwIfAborted();
  });
  const [result] = await Promise.allSettled([running, gate.close(1, 60_000)]);
  assert(rolledBack);
  assertEquals(result.status, "rejected");
  assertEquals((result as PromiseRejectedResult).reason.code, "UNAVAILABLE");
});

Deno.test("a stream counts as running until it has been read, and is stopped by the shutdown", async () => {
  const gate = new OperationGate();
  const source = () =>
    Promise.resolve(
      new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull: (controller) => controller.enqueue(new Uint8Array([1])),
      }, { highWaterMark: 0 }),
    );
  const stream = await gate.run(backgroundOperation(), source);
  assertEquals(gate.running, 1);
  await stream.cancel();
  assertEquals(gate.running, 0);

  const abandoned = await gate.run(backgroundOperation(), source);
  await gate.close(1, 60_000);
  assertEquals(gate.running, 0);
  await assertRejects(() => abandoned.getReader().read(), LaminaError);
});

Deno.test("what is thrown leaves the gate as a LaminaError", async () => {
  const gate = new OperationGate();
  const error = await assertRejects(() => gate.run(backgroundOperation(), () => Promise.reject(new Error("odd"))));
  assert(error instanceof LaminaError);
  assertEquals(error.code, "INTERNAL");
});

Deno.test("a service behind the gate answers at once only while the gate is open", async () => {
  const gate = new OperationGate();
  const service = throughGate(gate, {
    list: () => ["a"],
    mount: (name: string, operation: Operation) => Promise.resolve(`${name} ${operation.signal.aborted}`),
  });
  assertEquals(service.list(), ["a"]);
  assertEquals(await service.mount("x", backgroundOperation()), "x false");
  await gate.close(1, 1);
  assertThrows(() => service.list(), LaminaError);
  await assertRejects(() => service.mount("x", backgroundOperation()), LaminaError);
});
