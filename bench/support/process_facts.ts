/** What the kernel says of a process. */

/** Memory, processor time and writes of one process. */
export interface ProcessFacts {
  readonly resident_bytes: number;
  /** The most that it ever had. */
  readonly peak_bytes: number;
  /** Processor time, all threads. */
  readonly cpu_ms: number;
  /** Bytes that went to the block layer. */
  readonly written_bytes: number;
}

/** Reads them from /proc. */
export async function processFacts(pid: number): Promise<ProcessFacts> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const kibibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024;
  const stat = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
  const io = await Deno.readTextFile(`/proc/${pid}/io`);
  const tick_ms = 10;
  return {
    resident_bytes: kibibytes("VmRSS"),
    peak_bytes: kibibytes("VmHWM"),
    cpu_ms: (Number(stat[11]) + Number(stat[12])) * tick_ms,
    written_bytes: Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0),
  };
}
