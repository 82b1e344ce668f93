import type { MethodName } from '@kata-agent/catalogue';
import { commentedLines, oneLine, reasonsText } from './commented-lines.js';
import type { ExtraRule } from './extra-rule.js';
import { facts } from './facts.js';
import { accessText } from './planned-access.js';
import type { Plan, PlannedRule, Unconstrained } from './plan.js';
import { ruleExpression } from './rule-expression.js';

/** A plan as a configuration for people: TOML, each line with who asks for it. `title` stands at its head. */
export function renderPlan(plan: Plan, title: readonly string[]): string {
  return [
    comment(title),
    'version = 1\n',
    '[agent]\n' +
      '# Nothing on the kernel line, in the environment or on the command line changes a value of this section.\n' +
      'lock = true\n' +
      accessText(plan.access),
    `[api]\n` +
      `# Methods that came with a later release of Kata Containers are not served.\n` +
      `release = "${plan.release}"\n` +
      strictText(plan) +
      `# Output that nobody may read looks like an end of file; the workload notices nothing.\n` +
      `on_denied_read = "eof"\n` +
      `allowed_endpoints = [\n${commentedLines(plan.endpoints.map((w) => [`  "${w.value}",`, reasonsText('#', w)]))}]\n`,
    ...[...plan.unconstrained, ...plan.tooLong].map(unconstrainedText),
    ...plan.rules.map(ruleText),
    ...plan.extra.map(extraText),
  ].join('\n');
}

/** Under `strict` a list that makes no sense is an error, and an error is no answer to what was asked for. */
function strictText({ senseless }: Plan): string {
  if (senseless.length === 0) return 'strict = true\n';
  return `${comment(senseless.map((why) => `NOT STRICT: ${why}`))}strict = false\n`;
}

function unconstrainedText({ name, method, why }: Unconstrained): string {
  return comment([
    `NOT CONSTRAINED: ${method}, ${name}. No rule stands here, so any will pass. Why:`,
    ...why.map((line) => `- ${line}`),
  ]);
}

function ruleText(rule: PlannedRule): string {
  const row = facts.get(rule.fact);
  if (row === undefined) return '';
  const number = rule.part?.number ?? 1;
  const name = number === 1 ? row.name : `${row.name}-${number}`;
  return ruleTable(rule.method, { ...row, name, expression: ruleExpression(rule) });
}

function extraText(rule: ExtraRule): string {
  return ruleTable(rule.method, rule);
}

function ruleTable(
  method: MethodName,
  rule: Pick<ExtraRule, 'name' | 'says' | 'expression' | 'message'>,
): string {
  return (
    comment(rule.says.split('\n')) +
    `[[api.rule]]\n` +
    `name = "${ruleName(method, rule.name)}"\n` +
    `endpoints = ["${method}"]\n` +
    `expression = ${tomlText(rule.expression)}\n` +
    `message = "${rule.message}"\n`
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

function comment(lines: readonly string[]): string {
  return lines.map((line) => (line === '' ? '#\n' : `# ${oneLine(line)}\n`)).join('');
}
