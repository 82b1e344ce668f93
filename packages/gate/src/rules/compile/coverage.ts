import type { RuleFault } from '@kata-agent/config';
import type { Expr } from '../language/expression.js';
import type { Places } from '../language/places.js';

/**
 * What the methods of a rule make of its parts together. A `has()` excuses a part from the methods that lack it; what
 * all methods lack is a misspelling that would otherwise never be noticed.
 */
export class Coverage {
  readonly #reached = new Set<bigint>();
  readonly #skipped = new Map<bigint, Expr>();
  readonly #present = new Set<bigint>();
  readonly #absent = new Map<bigint, RuleFault>();

  reach(expr: Expr): void {
    this.#reached.add(expr.id);
  }

  skip(expr: Expr): void {
    this.#skipped.set(expr.id, expr);
  }

  presence(expr: Expr, why: RuleFault | undefined): void {
    if (why === undefined) this.#present.add(expr.id);
    else this.#absent.set(expr.id, why);
  }

  /** Asked when all methods are done. */
  faults(places: Places): readonly RuleFault[] {
    const lacking = [...this.#absent].filter(([id]) => !this.#present.has(id)).map(([, why]) => why);
    // What lies behind a has() that is wrong itself is not worth a message of its own.
    if (lacking.length > 0) return lacking;
    return [...this.#skipped.values()]
      .filter(({ id }) => !this.#reached.has(id))
      .map((expr) => ({
        severity: 'error',
        ...places.of(expr),
        message: 'this is never reached: each method of the rule lacks what the has() before it asks for',
        help: 'take it out, or name a method that has it',
      }));
  }
}
