/** A registry of metrics. */
export interface Registry {
  /** Returns the current values; counts as one scrape. */
  readonly metrics: () => Promise<string>;
}

/** The metrics of a guest. */
export class Metrics {
  #registry: Promise<Registry> | undefined;
  #scrape: Promise<string> | undefined;

  /**
   * Returns the current metrics. Calls during a scrape share its result: a scrape takes a millisecond of the event loop,
   * and calls that wait for the first one, which loads the library, would all continue at once.
   *
   * @param open runs at the first scrape: most guests are never scraped. The caller provides it, so that a bundle
   * without GetMetrics is without the registry and its library (R13).
   */
  scrape(open: () => Promise<Registry>): Promise<string> {
    this.#scrape ??= this.#read(open).finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  async #read(open: () => Promise<Registry>): Promise<string> {
    this.#registry ??= open();
    return (await this.#registry).metrics();
  }
}
