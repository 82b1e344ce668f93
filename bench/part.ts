import type { Row } from './row.js';

/** One part of the benchmark; its failure does not affect others. */
export interface Part {
  readonly name: string;
  /** The name of several parts that take long: they run only if they, or their group, are named. */
  readonly group?: string;
  /** Debian packages that it needs, besides Node.js. */
  readonly needs: readonly string[];
  readonly measure: () => readonly Row[] | Promise<readonly Row[]>;
}

/** The result of a part. */
export type Outcome =
  | { readonly part: string; readonly rows: readonly Row[] }
  | { readonly part: string; readonly error: string };

/** Returns the parts with a name, or of a group; without one, those without a group. */
export function chosenParts(parts: readonly Part[], only: string | undefined): readonly Part[] {
  return parts.filter(({ name, group }) =>
    only === undefined ? group === undefined : name === only || group === only,
  );
}
