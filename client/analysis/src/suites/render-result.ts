import type { CaseResult } from './run-suite.js';

/** Renders a failed case for people: position, expected decision, actual decision and its reason. */
export function renderFailure({ test, actual, decision, notEvaluated }: CaseResult): string {
  const { span, name, method, expect, rule } = test;
  const expected = rule === undefined ? expect : `${expect} by rule ${rule}`;
  const got = decision.rule === undefined ? actual : `${actual} by rule ${decision.rule}`;
  if (notEvaluated.length > 0)
    return [
      `${span.file}:${span.line}:${span.column}: ${name}`,
      `  ${method}: not evaluated: rule ${notEvaluated.join(', ')}, which needs the image that the guest pulls`,
      '  help: add the key image to the test, with from, reference, digest and config',
    ].join('\n');
  return [
    `${span.file}:${span.line}:${span.column}: ${name}`,
    `  ${method}: expected ${expected}, but got ${got}`,
    `  ${decision.reason}`,
  ].join('\n');
}
