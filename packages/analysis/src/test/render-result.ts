import type { CaseResult } from './run-suite.js';

/** Why a case failed, for people: its place, what was expected, what became of it and why. */
export function renderFailure({ test, verdict, decision }: CaseResult): string {
  const { span, name, method, expect, rule } = test;
  const expected = rule === undefined ? expect : `${expect} by rule ${rule}`;
  const got = decision.rule === undefined ? verdict : `${verdict} by rule ${decision.rule}`;
  return [
    `${span.file}:${span.line}:${span.column}: ${name}`,
    `  ${method}: expected ${expected}, but got ${got}`,
    `  ${decision.reason}`,
  ].join('\n');
}
