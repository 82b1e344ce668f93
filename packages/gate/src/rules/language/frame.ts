import type { Value } from './value.js';

/** What ends an evaluation that took too many steps. Nothing in an expression can catch it, unlike a RuleError. */
export class BudgetExceeded extends Error {
  override readonly name = 'BudgetExceeded';
}

/** A value that an operation cannot work on: an index beyond the end, a missing key. `&&` and `||` may absorb it. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

/** One evaluation of one rule: its variables, and the steps that are left. */
export class Frame {
  /** Variables of the rule, then those of its macros. */
  readonly slots: Value[];
  readonly #steps: number;
  #left: number;

  constructor(slots: number, steps: number) {
    this.slots = Array.from<Value>({ length: slots }).fill(false);
    this.#steps = steps;
    this.#left = steps;
  }

  /** @throws BudgetExceeded */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new BudgetExceeded(`took more than ${this.#steps} steps`);
  }

  get spent(): number {
    return this.#steps - this.#left;
  }
}
