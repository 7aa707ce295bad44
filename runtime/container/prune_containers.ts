/** Which containers a prune takes away. Pure. */

/** What a prune is restricted to; all given conditions must hold. */
export interface PruneFilter {
  /** `KEY` or `KEY=VALUE`, each of them. */
  readonly label: readonly string[];
  /** None of them. */
  readonly not_label: readonly string[];
  /** Created before; milliseconds since the epoch. */
  readonly until_ms?: number;
}

/** Whether a container that is not mounted is meant. */
export function isPruned(
  container: { readonly labels: Readonly<Record<string, string>>; readonly createdAt_ms: number },
  filter: PruneFilter,
): boolean {
  const has = (text: string) => {
    const at = text.indexOf("=");
    const key = at < 0 ? text : text.slice(0, at);
    return Object.hasOwn(container.labels, key) && (at < 0 || container.labels[key] === text.slice(at + 1));
  };
  return filter.label.every(has) && !filter.not_label.some(has) &&
    (filter.until_ms === undefined || container.createdAt_ms < filter.until_ms);
}
