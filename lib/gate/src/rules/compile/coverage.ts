import type { RuleFault } from '@kata-agent/config';
import type { Expr } from '../language/expression.js';

/**
 * Collects the result of each `has()` over all methods of a rule. A part may be missing in some methods; one missing in
 * all of them is a misspelling that would otherwise go unnoticed.
 */
export class Coverage {
  readonly #present = new Set<bigint>();
  readonly #absent = new Map<bigint, RuleFault>();

  presence(expr: Expr, why: RuleFault | undefined): void {
    if (why === undefined) this.#present.add(expr.id);
    // The suggestion of the method with the most similar name is the best one.
    else if (this.#absent.get(expr.id)?.help?.startsWith('did you mean') !== true)
      this.#absent.set(expr.id, why);
  }

  /** Read after all methods were compiled. */
  get faults(): readonly RuleFault[] {
    return [...this.#absent].filter(([id]) => !this.#present.has(id)).map(([, why]) => why);
  }
}
