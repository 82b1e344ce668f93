import type { FileSystem } from './file-systems.js';

/** One value of a metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric; `read` returns its current samples and runs at each scrape. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** `proc`: `/proc`; `fileSystems`: those that can run full. */
  readonly read: (proc: string, fileSystems: readonly FileSystem[]) => readonly Sample[];
}
