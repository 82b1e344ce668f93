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
  /** `proc`: `/proc`. */
  readonly read: (proc: string) => readonly Sample[];
}
