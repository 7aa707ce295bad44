/** Space for PersistentVolumes as the API and the command line see it. */
import * as z from "zod";

const bytes = z.int().min(0);

/** Answer of `GET /v1/capacity`. */
export const Capacity = z.object({
  classes: z.array(z.object({
    storage_class: z.string(),
    provisioner: z.string(),
    total_bytes: bytes.optional(),
    available_bytes: bytes.optional().describe("Free, and promised to no other volume"),
    error: z.string().optional().describe("Why nothing can be told"),
  })),
  volumes: z.array(z.object({
    name: z.string(),
    claim: z.string().optional().describe("NAMESPACE/NAME"),
    storage_class: z.string(),
    phase: z.string(),
    capacity_bytes: bytes,
    used_bytes: bytes.optional().describe("Absent: nobody here can tell"),
  })),
}).meta({ id: "Capacity" });
/** See the schema of the same name. */
export type Capacity = z.infer<typeof Capacity>;
