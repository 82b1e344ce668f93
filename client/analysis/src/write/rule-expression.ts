import { type Entry, celLiteral } from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';
import { commentedLines, reasonsText, type Wanted } from './reasons.js';
import { type FactRow, facts } from './fact-rules.js';
import type { OwnValues, PlannedForm, PlannedRule } from './plan.js';

/** UTF-16 units: the loader accepts 16,384 (`ruleLimits` of the gate), the last line feed included. */
export const longestExpression = 16_383;

/** Returns the CEL of a rule, with the origins on each line, or without them if the rule would be too long to load. */
export function ruleExpression(rule: PlannedRule): string {
  const text = expressionText(rule);
  return text.length <= longestExpression ? text : expressionText(withoutReasons(rule));
}

/** Returns the number of values in a rule. */
export function valuesIn({ values, own }: PlannedRule): number {
  return own.reduce((sum, { values: { length } }) => sum + length, values.length);
}

function withoutReasons(rule: PlannedRule): PlannedRule {
  const bare = <T>(list: readonly Wanted<T>[]): readonly Wanted<T>[] =>
    list.map(({ value }) => ({ value, because: [] }));
  const own = rule.own.map(({ container, values }) => ({ container, values: bare(values) }));
  const forms = rule.forms.map((form) => ({ ...form, because: [] }));
  return { ...rule, values: bare(rule.values), forms, own };
}

function expressionText(rule: PlannedRule): string {
  const row = facts.get(rule.fact);
  const text = row?.expression === undefined ? (row?.none ?? 'false') : listed(rule, row, row.expression);
  return text.replaceAll('PROCESS', processField(rule.method));
}

function listed(rule: PlannedRule, row: FactRow, expression: NonNullable<FactRow['expression']>): string {
  if (rule.values.length + rule.own.length + rule.forms.length === 0) return row.none;
  const { close, gathered } = expression;
  const open = expression.open + guardText(rule, row);
  if (gathered !== undefined) {
    const forms = rule.forms.map((form) => `${formText(form)} ||\n  `).join('');
    return `${open}${forms}${gatheredText(rule)}${gathered}${close}`;
  }
  const alternatives = [
    ...tests(rule.values, expression),
    ...rule.own.map((own) => ownTerm(own, expression)),
  ];
  const forms = rule.forms.map((form) => ({ reason: reasonsText('//', form), term: formText(form) }));
  return (
    open +
    [...alternatives.map((term) => ({ reason: '', term })), ...forms]
      .map(({ reason, term }, index) => {
        const comment = reason === '' ? '' : `${reason}\n`;
        return index === 0 ? (comment === '' ? term : `\n${comment}${term}`) : `${comment}|| ${term}`;
      })
      .join('\n') +
    close
  );
}

/** Adds a test that lets values of the other parts pass. */
function guardText({ part }: PlannedRule, { key }: FactRow): string {
  if (part === undefined || key === undefined) return '';
  const before = part.from === undefined ? '' : `${key.cel} < ${celLiteral(part.from)} || `;
  const after = part.below === undefined ? '' : `${key.cel} >= ${celLiteral(part.below)} || `;
  return before + after;
}

type Expression = NonNullable<FactRow['expression']>;

/** Returns one test for each kind of entry in the list. */
function tests(values: readonly Wanted<Entry>[], { before, after, pairs }: Expression): readonly string[] {
  if (pairs === undefined) return values.length === 0 ? [] : [before + listText(values) + after];
  const lists = values.filter(({ value }) => String(value).includes('='));
  const single = values.filter(({ value }) => !String(value).includes('='));
  return [
    ...(lists.length === 0 ? [] : [pairs + listText(lists)]),
    ...(single.length === 0 ? [] : [before + listText(single) + after]),
  ];
}

function ownTerm({ container, values }: OwnValues, expression: Expression): string {
  const own = tests(values, expression);
  const test = own.length > 1 ? `(${own.join(' || ')})` : (own[0] ?? 'false');
  return `${containerTest(container)} &&\n  ${test.replaceAll('\n', '\n  ')}`;
}

function formText({ condition, containers, except }: PlannedForm): string {
  const of = formContainers(containers);
  const [[only] = ['']] = except;
  const names = except.map(([, name]) => name);
  const isOne = of.length > 0 && except.every(([container]) => container === only);
  const others =
    except.length === 0
      ? []
      : [
          isOne && containers.length === 1
            ? `!(name in ${celLiteral(names)})`
            : `!([container.claimed.name, name] in ${celLiteral(except)})`,
        ];
  const terms = [...of, ...others, ...(condition === undefined ? [] : [condition])];
  return terms.length === 0 ? 'true' : terms.join(' &&\n  ');
}

function formContainers(containers: PlannedForm['containers']): readonly string[] {
  if (containers === 'all') return [];
  if (containers === 'others') return [containerTest('others')];
  const [name = ''] = containers;
  return containers.length === 1
    ? [containerTest({ name })]
    : [`container.claimed.name in ${celLiteral(containers)}`];
}

/** Returns all lists combined, those of single containers only for them. */
function gatheredText({ values, own }: PlannedRule): string {
  const parts = [
    ...(values.length === 0 ? [] : [listText(values)]),
    ...own.map(({ container, values: list }) => `(${containerTest(container)} ? ${listText(list)} : [])`),
  ];
  return parts.length > 1 ? `(${parts.join(' + ')})` : (parts[0] ?? '[]');
}

function containerTest(container: OwnValues['container']): string {
  return container === 'others'
    ? 'container.claimed.name != ""'
    : `container.claimed.name == ${celLiteral(container.name)}`;
}

function listText(values: readonly Wanted<Entry>[]): string {
  return `[\n${commentedLines(values.map((wanted) => [`  ${celLiteral(wanted.value)},`, reasonsText('//', wanted)]))}]`;
}

function processField(method: MethodName): string {
  return method === 'ExecProcess' ? 'request.process' : 'request.OCI.Process';
}
