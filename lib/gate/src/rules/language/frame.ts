import type { Value } from './value.js';

/** Ends an evaluation that took too many steps. Unlike a RuleError, no expression can absorb it. */
export class BudgetExceeded extends Error {
  override readonly name = 'BudgetExceeded';
}

/** An operation on an invalid value, such as an index out of range or a missing key. `&&` and `||` may absorb it. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

/** One evaluation of a rule: its variables and remaining steps. */
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
