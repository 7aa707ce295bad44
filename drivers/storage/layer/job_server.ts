/** What a worker does: takes one job after the other from the pool that started it. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { WorkerJobContext } from "./job_context.ts";
import { type FromWorker, type Job, jobError, packError, type ToWorker } from "./job_protocol.ts";

type Scope = {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
};

/** Serves the jobs of `jobs` until the worker is terminated. To be called once, by the worker's entry. */
export function serveJobs(jobs: Readonly<Record<string, Job>>): void {
  const scope = self as unknown as Scope;
  const table = new Map(Object.entries(jobs));
  let current: { readonly id: number; readonly context: WorkerJobContext } | undefined;

  scope.onmessage = ({ data: message }) => {
    if (message.type === "run") void run(message);
    else if (message.id === current?.id) current.context.receive(message);
  };

  async function run({ id, job, args, flag }: Extract<ToWorker, { type: "run" }>): Promise<void> {
    const context = new WorkerJobContext(id, flag, (message, transfer = []) => scope.postMessage(message, transfer));
    current = { id, context };
    try {
      const work = table.get(job);
      if (work === undefined) throw new LaminaError("INTERNAL", `There is no job "${job}" in the workers' table`);
      const result = await work(args, context);
      scope.postMessage({ type: "done", id, result });
    } catch (error) {
      scope.postMessage({ type: "failed", id, error: packError(jobError(error, `Job "${job}" failed`)) });
    }
  }
}
