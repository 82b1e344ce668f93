import { celLiteral } from './cel-literal.js';
import { commentedLines, reasonsText } from './commented-lines.js';
import type { Entry } from './fact-name.js';
import { type FactRow, facts } from './facts.js';
import type { OwnValues, PlannedRule, Wanted } from './plan.js';

/** UTF-16 units: the loader takes 16,384 (`ruleLimits` of the gate), the last line feed included. */
export const longestExpression = 16_383;

/** The CEL of a rule, with a reason on each line; without reasons where they would make it too long to be loaded. */
export function ruleExpression(rule: PlannedRule): string {
  const text = expressionText(rule);
  return text.length <= longestExpression ? text : expressionText(withoutReasons(rule));
}

function withoutReasons(rule: PlannedRule): PlannedRule {
  const bare = <T>(list: readonly Wanted<T>[]): readonly Wanted<T>[] =>
    list.map(({ value }) => ({ value, because: [] }));
  const own = rule.own.map(({ args, values }) => ({ args, values: bare(values) }));
  return { ...rule, values: bare(rule.values), patterns: bare(rule.patterns), own };
}

function expressionText(rule: PlannedRule): string {
  const row = facts.get(rule.fact);
  if (row?.expression === undefined) return row?.none ?? 'false';
  const alternatives = [...commonTerms(rule, row.expression), ...rule.own.map((own) => ownTerm(own, row))];
  if (alternatives.length === 0) return row.none;
  const { open, close } = rule.wholeCommand ? { open: '', close: '' } : row.expression;
  // A term that ends with a comment ends with its line, too.
  return (
    open +
    alternatives
      .map((term, index) => (index === 0 ? term : `|| ${term}`))
      .join('\n')
      .replaceAll('\n\n', '\n') +
    close
  );
}

function commonTerms(
  rule: PlannedRule,
  { before, after }: NonNullable<FactRow['expression']>,
): readonly string[] {
  const list = rule.wholeCommand
    ? `args in ${listText(rule.values)}`
    : before + listText(rule.values) + after;
  return [
    ...(rule.values.length === 0 ? [] : [list]),
    ...rule.patterns.map(
      (wanted) => `name.matches(${celLiteral(wanted.value)}) ${reasonsText('//', wanted)}\n`,
    ),
  ];
}

function ownTerm({ args, values }: OwnValues, { expression }: FactRow): string {
  const test = (expression?.before ?? '') + listText(values) + (expression?.after ?? '');
  return `args == ${celLiteral(args)} &&\n  ${test.replaceAll('\n', '\n  ')}`;
}

function listText(values: readonly Wanted<Entry>[]): string {
  return `[\n${commentedLines(values.map((wanted) => [`  ${celLiteral(wanted.value)},`, reasonsText('//', wanted)]))}]`;
}
