/** A registry of metrics. */
export interface Registry {
  /** Returns the current values; counts as one scrape. */
  readonly metrics: () => Promise<string>;
}

/** The metrics of a guest. */
export class Metrics {
  #registry: Promise<Registry> | undefined;

  /**
   * Returns the current metrics.
   *
   * @param open runs at the first scrape: most guests are never scraped. The caller provides it, so that a bundle
   * without GetMetrics is without the registry and its library (R13).
   */
  async scrape(open: () => Promise<Registry>): Promise<string> {
    this.#registry ??= open();
    return (await this.#registry).metrics();
  }
}
