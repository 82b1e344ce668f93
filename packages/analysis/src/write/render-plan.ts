import type { MethodName } from '@kata-agent/catalogue';
import { celLiteral } from './cel-literal.js';
import type { Entry } from './fact-name.js';
import { type FactRow, facts } from './facts.js';
import type { OwnValues, Plan, PlannedRule, Unconstrained, Wanted } from './plan.js';

/** Reasons beyond these are counted. */
const reasonsShown = 3;
const width = 100;

/** A plan as a configuration for people: TOML, each line with who asks for it. `title` stands at its head. */
export function renderPlan(plan: Plan, title: readonly string[]): string {
  return [
    comment(title),
    'version = 1\n',
    '[agent]\n' +
      '# Nothing on the kernel line, in the environment or on the command line changes a value of this section.\n' +
      'lock = true\n',
    `[api]\n` +
      `# Methods that came with a later release of Kata Containers are not served.\n` +
      `release = "${plan.release}"\n` +
      strictText(plan) +
      `# Output that nobody may read looks like an end of file; the workload notices nothing.\n` +
      `on_denied_read = "eof"\n` +
      `allowed_endpoints = [\n${aligned(plan.endpoints.map((w) => [`  "${w.value}",`, reasons('#', w)]))}]\n`,
    ...plan.unconstrained.map(unconstrainedText),
    ...plan.rules.map(ruleText),
  ].join('\n');
}

/** Under `strict` a list that makes no sense is an error, and an error is no answer to what was asked for. */
function strictText({ senseless }: Plan): string {
  if (senseless.length === 0) return 'strict = true\n';
  return `${comment(senseless.map((why) => `NOT STRICT: ${why}`))}strict = false\n`;
}

function unconstrainedText({ fact, method, why }: Unconstrained): string {
  const row = facts.get(fact);
  return comment([
    `NOT CONSTRAINED: ${method}, ${row?.name ?? fact}. No rule stands here, so any will pass. Why:`,
    ...why.map((line) => `- ${line}`),
  ]);
}

function ruleText(rule: PlannedRule): string {
  const row = facts.get(rule.fact);
  if (row === undefined) return '';
  return (
    `# ${row.says}\n` +
    `[[api.rule]]\n` +
    `name = "${ruleName(rule.method, row.name)}"\n` +
    `endpoints = ["${rule.method}"]\n` +
    `expression = ${tomlText(expression(rule))}\n` +
    `message = "${row.message}"\n`
  );
}

/** On one line where it fits. */
function tomlText(expression: string): string {
  return /[\n']/.test(expression) ? `'''\n${expression}\n'''` : `'${expression}'`;
}

/** `create-container-mounts`: the method in lower case with hyphens, and the fact's word. */
function ruleName(method: MethodName, word: string): string {
  return `${method.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}-${word}`;
}

function expression(rule: PlannedRule): string {
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
    ...rule.patterns.map((wanted) => `name.matches(${celLiteral(wanted.value)}) ${reasons('//', wanted)}\n`),
  ];
}

function ownTerm({ args, values }: OwnValues, { expression }: FactRow): string {
  const test = (expression?.before ?? '') + listText(values) + (expression?.after ?? '');
  return `args == ${celLiteral(args)} &&\n  ${test.replaceAll('\n', '\n  ')}`;
}

function listText(values: readonly Wanted<Entry>[]): string {
  return `[\n${aligned(values.map((wanted) => [`  ${celLiteral(wanted.value)},`, reasons('//', wanted)]))}]`;
}

/** Lines of two columns; the second is dropped below the first where that is too long to stand beside it. */
function aligned(lines: readonly (readonly [string, string])[]): string {
  const short = lines.filter(([text]) => text.length <= 44);
  const column = Math.max(0, ...short.map(([text]) => text.length));
  return lines
    .map(([text, reason]) => {
      if (text.length <= column) return `${text.padEnd(column)} ${reason}\n`;
      return text.length + reason.length < width ? `${text} ${reason}\n` : `  ${reason}\n${text}\n`;
    })
    .join('');
}

function reasons(mark: string, wanted: Wanted<unknown>): string {
  const shown = wanted.because.slice(0, reasonsShown).map(oneLine);
  const more = wanted.because.length - shown.length;
  return `${mark} ${shown.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

function comment(lines: readonly string[]): string {
  return lines.map((line) => (line === '' ? '#\n' : `# ${oneLine(line)}\n`)).join('');
}

/** Nothing that a pod or a log says can end a comment or a string. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').replaceAll("'''", '’’’');
}
