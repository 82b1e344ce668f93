import type { MethodName } from '@kata-agent/catalogue';
import { commentedLines, oneLine, reasonsText } from './reasons.js';
import type { Ask, ExtraRule, OpenFields, Plan, PlannedRule, Unconstrained } from './plan.js';
import { facts } from './fact-rules.js';
import { planConfiguration, type PlanOptions } from './plan-configuration.js';
import { accessText } from './planned-access.js';
import { aliasesText, imageVolumesText, liveVolumesText, secretText } from './planned-settings.js';
import { profileText, valuesText } from './values-text.js';
import { ruleExpression } from './rule-expression.js';

/** Renders a plan as TOML, each line with its origins. `title` is the first comment. */
export function renderPlan(plan: Plan, title: readonly string[]): string {
  return [
    comment(title),
    'version = 1\n',
    '[agent]\n' +
      '# The kernel command line, the environment and flags do not change this section.\n' +
      'lock = true\n' +
      accessText(plan.access) +
      containerSettings(plan),
    ...plan.secrets.map(secretText),
    ...(plan.verifiedLayers === true ? [verifiedText] : []),
    ...(plan.registries === undefined ? [] : [imageText(plan.registries)]),
    `[api]\n${releaseText(plan)}${strictText(plan)}${deniedReadText}${namedProfile(plan)}${endpointsText(plan)}`,
    ...constraints(plan),
  ].join('\n');
}

/**
 * Renders a plan as a further document, which restricts the base document of an image: without the keys that only a base document has
 * (`baseText`).
 */
export function renderDelivered(plan: Plan, title: readonly string[]): string {
  const settings = containerSettings(plan);
  return [
    comment(title),
    'version = 1\n',
    ...(settings === '' ? [] : [`[agent]\n${settings}`]),
    ...(plan.registries === undefined
      ? []
      : [`[image]\nrequire_digest = true\n${registriesText(plan.registries)}`]),
    `[api]\n${releaseText(plan)}${strictText(plan)}${namedProfile(plan)}${endpointsText(plan)}`,
    ...constraints(plan),
  ].join('\n');
}

/** Returns what the base document must have for a plan, beside the endpoints, as TOML; empty if that is nothing. */
export function baseText(plan: Plan): string {
  const access = accessText(plan.access);
  return [
    ...(access === '' ? [] : [`[agent]\n${access}`]),
    ...plan.secrets.map(secretText),
    ...(plan.verifiedLayers === true ? [verifiedText] : []),
    ...(plan.registries === undefined ? [] : ['[image]\npuller = "built-in"\n']),
  ].join('\n');
}

const deniedReadText =
  '# A denied read of output returns end of file; the workload does not notice.\non_denied_read = "eof"\n';

/** Keys of `[agent]` about single containers. */
function containerSettings(plan: Plan): string {
  return (
    aliasesText(plan.aliases) + imageVolumesText(plan.imageVolumes ?? []) + liveVolumesText(plan.live ?? [])
  );
}

function releaseText({ release }: Plan): string {
  return `# Methods of later releases of Kata Containers are not served.\nrelease = "${release}"\n`;
}

function endpointsText({ endpoints }: Plan): string {
  const lines = endpoints.map((each) => [`  "${each.value}",`, reasonsText('#', each)] as const);
  return `allowed_endpoints = [\n${commentedLines(lines)}]\n`;
}

function namedProfile({ use }: Plan): string {
  return use === undefined ? '' : profileText(use);
}

/** The rules, and comments about what they do not constrain. */
function constraints(plan: Plan): readonly string[] {
  return [
    ...openText(plan.open),
    ...[...plan.unconstrained, ...plan.tooLong].map(unconstrainedText),
    ...(plan.use === undefined ? [] : valuesText(plan.use)),
    ...plan.rules.map(ruleText),
    ...plan.extra.map(extraText),
  ];
}

const verifiedText =
  '[image]\n# The host brings the layers of images, and a rule below pins them.\nlayers = "verified"\n';

/** Keys about TLS, credentials and signatures of the registry are left to the operator. */
function imageText(registries: readonly string[]): string {
  return (
    '# The guest pulls the images itself. Add credentials, registry_ca and signatures, if the registry needs them.\n' +
    '[image]\n' +
    'puller = "built-in"\n' +
    'require_digest = true\n' +
    registriesText(registries)
  );
}

function registriesText(registries: readonly string[]): string {
  return `registries = [\n${registries.map((each) => `  ${JSON.stringify(each)},\n`).join('')}]\n`;
}

/** With `strict` an inconsistent list is an error, but the result must load. */
function strictText({ inconsistentSeverity }: Plan): string {
  if (inconsistentSeverity.length === 0) return 'strict = true\n';
  return `${comment(inconsistentSeverity.map((why) => `NOT STRICT: ${why}`))}strict = false\n`;
}

/** The fields that rules leave open. */
function openText(open: readonly OpenFields[]): readonly string[] {
  if (open.length === 0) return [];
  return [
    comment([
      'NOT CONSTRAINED, since their values are not in the input. All other fields of all containers are.',
      ...open.map((each) => `- ${openLine(each)}`),
    ]),
  ];
}

/** `container app, args[2]: $(TOKEN) from Secret x, key k`. */
export function openLine({ container, fields, why }: OpenFields): string {
  return `${container === '' ? 'the pause container' : `container ${container}`}, ${fields.join(', ')}: ${why}`;
}

function unconstrainedText({ name, method, why }: Unconstrained): string {
  return comment([
    `NOT CONSTRAINED: ${method}, ${name}. There is no rule: any value is allowed. Why:`,
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
  rule: Pick<ExtraRule, 'name' | 'description' | 'expression' | 'message'>,
): string {
  return (
    comment(rule.description.split('\n')) +
    `[[api.rule]]\n` +
    `name = "${ruleName(method, rule.name)}"\n` +
    `endpoints = ["${method}"]\n` +
    `expression = ${tomlText(rule.expression)}\n` +
    `message = "${rule.message}"\n`
  );
}

/** On one line if it fits. */
function tomlText(expression: string): string {
  return /[\n']/.test(expression) ? `'''\n${expression}\n'''` : `'${expression}'`;
}

/** Returns `create-container-mounts`: the method in lower case with hyphens, and the fact's name. */
function ruleName(method: MethodName, word: string): string {
  return `${method.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}-${word}`;
}

function comment(lines: readonly string[]): string {
  return lines.map((line) => (line === '' ? '#\n' : `# ${oneLine(line)}\n`)).join('');
}

/** The head comment, and the release. */
export interface WriteOptions extends PlanOptions {
  /** Lines of the comment at the head. */
  readonly title?: readonly string[];
}

/**
 * Returns the smallest configuration that allows all asks, as TOML: the lists, the rules, each line with its origins.
 */
export function writeConfiguration(asks: readonly Ask[], options: WriteOptions = {}): string {
  return renderPlan(
    planConfiguration(asks, options),
    options.title ?? ['Smallest configuration for the given calls.'],
  );
}
