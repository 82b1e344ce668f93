import type { Rule } from '@kata-agent/config';
import { CompiledRules } from './compiled-rules.js';
import type { RuleBook } from './rule-book.js';

/**
 * Compiles checked rules, once, before any listener opens.
 *
 * @throws Error when a rule is invalid, naming it and its first fault.
 */
export function compileRules(rules: readonly Rule[]): RuleBook {
  return CompiledRules.empty.with(rules);
}

/**
 * Returns a book with more rules, which can only deny more.
 *
 * @throws Error as `compileRules`; the given book is unchanged.
 */
export function extendRules(book: RuleBook, rules: readonly Rule[]): RuleBook {
  if (rules.length === 0) return book;
  return (book instanceof CompiledRules ? book : CompiledRules.empty.with(book.rules)).with(rules);
}
