import type { Row } from './row.js';

/** One part of the benchmark: it fails alone. */
export interface Part {
  readonly name: string;
  /** Debian packages that it cannot do without, beside Node.js. */
  readonly needs: readonly string[];
  readonly measure: () => readonly Row[] | Promise<readonly Row[]>;
}

/** What became of a part. */
export type Outcome =
  | { readonly part: string; readonly rows: readonly Row[] }
  | { readonly part: string; readonly error: string };
