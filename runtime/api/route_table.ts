/** THE route table: every call of the native API. */
import type { Route } from "./route.ts";
import { capacityRoutes } from "./routes/capacity.ts";
import { containerRoutes } from "./routes/containers.ts";
import { docsRoutes } from "./routes/docs.ts";
import { imageRoutes } from "./routes/images.ts";
import { objectRoutes } from "./routes/objects.ts";
import { operationRoutes } from "./routes/operations.ts";
import { systemRoutes } from "./routes/system.ts";
import { unionRoutes } from "./routes/unions.ts";
import { volumeRoutes } from "./routes/volumes.ts";

/** See the head of the file. */
export const ROUTES: readonly Route[] = [
  ...imageRoutes,
  ...containerRoutes,
  ...volumeRoutes,
  ...unionRoutes,
  ...objectRoutes,
  ...capacityRoutes,
  ...operationRoutes,
  ...systemRoutes,
  ...docsRoutes(() => ROUTES),
];
