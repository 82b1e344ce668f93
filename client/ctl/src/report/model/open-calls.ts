/** Rows of calls that have begun, by the sequence number of their intent. When there are too many the oldest are forgotten. */
export class OpenCalls<Row> {
  readonly #rows = new Map<number, Row>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  open(intent: number, row: Row): void {
    if (this.#rows.size >= this.#limit)
      for (const oldest of this.#rows.keys()) {
        this.#rows.delete(oldest);
        break;
      }
    this.#rows.set(intent, row);
  }

  close(intent: number): Row | undefined {
    const row = this.#rows.get(intent);
    this.#rows.delete(intent);
    return row;
  }
}
