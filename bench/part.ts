import type { Row } from './row.js';

/** One part of the benchmark; its failure does not affect others. */
export interface Part {
  readonly name: string;
  /** Debian packages that it needs, besides Node.js. */
  readonly needs: readonly string[];
  readonly measure: () => readonly Row[] | Promise<readonly Row[]>;
}

/** The result of a part. */
export type Outcome =
  | { readonly part: string; readonly rows: readonly Row[] }
  | { readonly part: string; readonly error: string };
