/** YAML for output. */
import type { ToStringOptions } from "yaml";

/** The value in YAML, without a final line end. The library is loaded when it is needed: most commands print none. */
export async function yamlText(value: unknown, options: ToStringOptions & { version?: "1.1" } = {}): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, options).trimEnd();
}
