import { assertEquals, assertRejects } from "@std/assert";
import { abortable, KeyedLock } from "../../runtime/core/keyed_lock.ts";

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

Deno.test("one holder a key, in order of arrival; other keys go on", async () => {
  const lock = new KeyedLock();
  const order: string[] = [];
  const work = async (name: string, key: string) => {
    using _held = await lock.acquire(key, never);
    order.push(`+${name}`);
    await turn();
    order.push(`-${name}`);
  };
  await Promise.all([work("a1", "a"), work("a2", "a"), work("b1", "b"), work("a3", "a")]);
  assertEquals(order.filter((step) => step[1] === "a"), ["+a1", "-a1", "+a2", "-a2", "+a3", "-a3"]);
  assertEquals(order.indexOf("+b1") < order.indexOf("-a1"), true);
  assertEquals([lock.isBusy("a"), lock.isBusy("b")], [false, false]);
});

Deno.test("a waiter that gives up is passed over, and nobody gets in early", async () => {
  const lock = new KeyedLock();
  const abort = new AbortController();
  const first = await lock.acquire("a", never);
  const second = lock.acquire("a", abort.signal);
  const third = lock.acquire("a", never);
  let thirdHeld = false;
  third.then(() => thirdHeld = true);
  abort.abort(new Error("enough"));
  await assertRejects(() => second, Error, "enough");
  await turn();
  assertEquals([thirdHeld, lock.isBusy("a")], [false, true]);
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  await turn();
  assertEquals(lock.isBusy("a"), false);
});

Deno.test("an aborted signal acquires nothing", async () => {
  const lock = new KeyedLock();
  await assertRejects(() => lock.acquire("a", AbortSignal.abort(new Error("gone"))), Error, "gone");
  assertEquals(lock.isBusy("a"), false);
});

Deno.test("a lock released twice lets only one waiter in", async () => {
  const lock = new KeyedLock();
  const first = await lock.acquire("a", never);
  const second = lock.acquire("a", never);
  const third = lock.acquire("a", never);
  let thirdHeld = false;
  third.then(() => thirdHeld = true);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  const held = await second;
  await turn();
  assertEquals(thirdHeld, false);
  held[Symbol.dispose]();
  (await third)[Symbol.dispose]();
});

Deno.test("several keys at once cannot deadlock, and are given back when one cannot be had", async () => {
  const lock = new KeyedLock();
  const both = async (keys: string[]) => {
    using _held = await lock.acquireAll(keys, never);
    await turn();
  };
  await Promise.all([both(["a", "b"]), both(["b", "a"]), both(["b", "b", "c"]), both(["c", "a"])]);
  const held = await lock.acquire("b", never);
  const abort = new AbortController();
  const waiting = lock.acquireAll(["a", "b"], abort.signal);
  await turn();
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await turn();
  assertEquals(lock.isBusy("a"), false);
  held[Symbol.dispose]();
});

Deno.test("an abortable wait ends with the signal, the promise or its failure, and leaves no listener", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const abort = new AbortController();
  const wait = abortable(promise, abort.signal);
  abort.abort(new Error("enough"));
  await assertRejects(() => wait, Error, "enough");
  resolve(1);
  assertEquals(await abortable(promise, never), 1);
  await assertRejects(() => abortable(Promise.reject(new Error("own")), never), Error, "own");
});
