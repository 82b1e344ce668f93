import type { MethodName } from '@kata-agent/catalogue';
import { type CompiledRule, compileRule } from './compile-rule.js';

/** Characters of expressions that are kept at most; the oldest go first. */
const mostCharacters = 65_536;

type Written = { readonly expression: string; readonly methods: readonly MethodName[] };

/**
 * Rules that were checked and not yet used. A rule is checked while its document is loaded and compiled a moment later,
 * when the document turned out to be good: parsing is what takes time, so it is done once.
 */
export class RecentRules {
  readonly #kept = new Map<string, CompiledRule>();
  #characters = 0;

  /** Compiles a rule and keeps it for `take`. */
  check(rule: Written): CompiledRule {
    const compiled = compileRule(rule);
    const key = keyOf(rule);
    this.#drop(key);
    this.#kept.set(key, compiled);
    this.#characters += key.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#characters <= mostCharacters) break;
      this.#drop(oldest);
    }
    return compiled;
  }

  /** The rule as it was checked, or compiled now. */
  take(rule: Written): CompiledRule {
    const key = keyOf(rule);
    const compiled = this.#kept.get(key) ?? compileRule(rule);
    this.#drop(key);
    return compiled;
  }

  #drop(key: string): void {
    if (this.#kept.delete(key)) this.#characters -= key.length;
  }
}

function keyOf({ expression, methods }: Written): string {
  return `${methods.join(' ')}\n${expression}`;
}
