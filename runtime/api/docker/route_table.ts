/** THE route table of the dialect. Of the rows that fit a path, the first counts. */
import type { DockerRoute } from "./route.ts";
import { commitRoutes } from "./routes/commit.ts";
import { containerFileRoutes } from "./routes/container_files.ts";
import { containerListRoutes } from "./routes/container_list.ts";
import { containerRoutes } from "./routes/containers.ts";
import { eventRoutes } from "./routes/events.ts";
import { imageArchiveRoutes } from "./routes/image_archives.ts";
import { imageRoutes } from "./routes/images.ts";
import { processRoutes } from "./routes/processes.ts";
import { systemRoutes } from "./routes/system.ts";
import { volumeRoutes } from "./routes/volumes.ts";

/** See the head of the file. */
export const DOCKER_ROUTES: readonly DockerRoute[] = [
  ...systemRoutes,
  ...eventRoutes,
  ...volumeRoutes,
  ...imageArchiveRoutes,
  ...imageRoutes,
  ...containerListRoutes,
  ...containerRoutes,
  ...containerFileRoutes,
  ...commitRoutes,
  ...processRoutes,
];
