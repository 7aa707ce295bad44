/** The entry of the layer engine's workers. */
import { serveJobs } from "./job_server.ts";
import { jobs } from "./jobs.ts";

serveJobs(jobs);
