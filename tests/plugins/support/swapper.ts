/** A worker that exchanges a directory and a link for each other, as fast as it can, until it is told to stop. */
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import { exchangeAt } from "../../../runtime/host/fs_change_calls.ts";
import { AT_FDCWD } from "../../../runtime/host/openat2.ts";

const worker = self as unknown as {
  onmessage: (event: MessageEvent<{ readonly one: string; readonly other: string; readonly stop: Int32Array }>) => void;
  postMessage(message: string): void;
};

worker.onmessage = ({ data: { one, other, stop } }) => {
  const [a, b] = [byteStringFromText(one), byteStringFromText(other)];
  worker.postMessage("begun");
  while (Atomics.load(stop, 0) === 0) exchangeAt(AT_FDCWD, a, b);
  worker.postMessage("ended");
};
