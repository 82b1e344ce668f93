import { onDoublingsOfEach } from '@kata-agent/base';

/** Counts what is on the bus and is not of a replica: something else uses the account of the realm, or another version. */
export class Malformed {
  readonly #report: (what: string) => void;
  #count = 0;

  constructor(log: (message: string, error: Error) => void) {
    const report = onDoublingsOfEach((what, times) =>
      log('something on the bus is not of a replica, and is ignored', new Error(`${what}, ${times} times`)),
    );
    this.#report = (what) => report(what, undefined);
  }

  get count(): number {
    return this.#count;
  }

  /** @param what One of a few texts, none of which the sender chooses. */
  add(what: string): void {
    this.#count += 1;
    this.#report(what);
  }
}
