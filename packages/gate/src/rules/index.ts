export type { RuleBook } from './rule-book.js';
