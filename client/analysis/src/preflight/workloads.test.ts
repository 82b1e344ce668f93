import {
  type Entry,
  type ImageConfigs,
  type RuntimeSetup,
  celLiteral,
  gpuNotes,
  parseImageConfig,
  readWorkloads,
} from '@kata-agent/workloads';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Constant } from '@kata-agent/catalogue/profiles';
import type { Configuration, Rule, RuleValues } from '@kata-agent/config';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { generate } from '../generate/generate.js';
import { configurationOf } from '../testing/configuration-of.js';
import type { OwnValues, Plan, PlannedRule } from '../write/plan.js';
import type { Wanted } from '../write/reasons.js';
import { renderPlan } from '../write/render-plan.js';
import { ruleExpression } from '../write/rule-expression.js';
import { checkWorkload, type WorkloadReport } from './check-workload.js';

const directory = fileURLToPath(new URL('../../../../examples/workloads/', import.meta.url));
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
  { runtime: 'rs', guest: 'confidential' },
  { runtime: 'remote', guest: 'confidential', networkNamespace: '/run/netns/podns' },
];

/** Every image of the workloads, by the last part of its name. */
const images: ImageConfigs = new Map(
  ['docker.io/library/nginx:1.27', 'docker.io/library/postgres:17', 'docker.io/library/redis:7.4']
    .concat('docker.io/library/busybox:1.37', 'docker.io/library/python:3.13', 'registry.example/server:1')
    .map((name) => [name, parseImageConfig(readText(`images/${basename(name).split(':')[0] ?? ''}.json`))]),
);

function readText(name: string): string {
  return readFileSync(directory + name, 'utf8');
}

test('there are 22 workloads', () => assert.equal(files.length, 22));

for (const file of files) {
  for (const setup of setups) {
    describe(`${file}, ${setup.runtime}, ${setup.guest}`, () => {
      const workloads = readWorkloads([{ file, text: readText(file) }]);
      const plan = generate(workloads, { setup, images, allowPrivileged: true, explicit: true });
      let configuration: Configuration;
      before(async () => {
        configuration = await configurationOf(renderPlan(plan, [file]), async () => createRuleChecker());
      });

      const check = (changed: Configuration): readonly WorkloadReport[] => {
        const options = { configuration: changed, compile: compileRules, setup, images };
        return workloads.map((workload) => checkWorkload(workload, options));
      };

      test('the generated configuration loads with strict without warnings, and is sufficient', () => {
        assert.deepEqual(configuration.warnings, []);
        assert.equal(configuration.api.strict, true);
        assert.deepEqual(plan.unconstrained, []);
        assert.doesNotMatch(renderPlan(plan, []), /[0-9a-f]{16}/, 'a sample ID appears in the text');
        for (const { workload, refused, changes, unchecked } of check(configuration)) {
          const expected = { refused: [], changes: [], unchecked: gpuNotes(workload, setup) };
          assert.deepEqual({ refused, changes, unchecked }, expected);
        }
      });

      test('a workload is sufficient unless the agent refuses it, and then the feature is named', () => {
        for (const { sufficient, unbuilt } of check(configuration)) {
          const names = new Set(unbuilt.map(({ name }) => name));
          assert.equal(sufficient, names.size === 0);
          assert.equal(names.has('image_guest_pull'), setup.guest === 'confidential');
        }
      });

      test('each removed endpoint is reported', () => {
        for (const { value: method } of plan.endpoints) {
          const reports = check(withoutEndpoint(configuration, method));
          const changes = reports.flatMap((report) => report.changes.map(({ text }) => text));
          assert.ok(changes.includes(`add "${method}" to allowed_endpoints`), method);
          assert.ok(reports.some(({ sufficient }) => !sufficient));
        }
      });

      // Two of the setups together have every value of all.
      if (setup.runtime === 'remote' || (setup.runtime === 'go') !== (setup.guest === 'shared-fs')) return;
      test('each value that is removed from a list is reported', () => {
        let taken = 0;
        const rules = configuration.api.documents.flatMap((document) => document.rules);
        for (const { index, rule, value } of withoutEachValue(plan)) {
          taken += 1;
          const whole = rules[index];
          assert.ok(whole !== undefined);
          const reports = check(withRule(configuration, { ...whole, expression: ruleExpression(rule) }));
          const changes = reports.flatMap((report) => report.changes.map(({ text }) => text));
          assert.ok(
            changes.some((text) => text.includes(value) && text.includes(whole.name)),
            `${whole.name} without ${value}: ${changes.join('; ')}`,
          );
        }
        assert.ok(taken > 30, String(taken));
      });

      test('each value of a profile that is removed or changed is reported', async () => {
        const profiled = generate(workloads, { setup, images, allowPrivileged: true });
        const loaded = await configurationOf(renderPlan(profiled, [file]), async () => createRuleChecker());
        assert.deepEqual(loaded.warnings, []);
        assert.ok(check(loaded).every(({ refused }) => refused.length === 0));
        for (const { place, value } of changedValues(loaded))
          assert.ok(
            check(withValues(loaded, value)).some(({ changes }) => changes.length > 0),
            `${place} was changed, and the pod still runs`,
          );
      });
    });
  }
}

function withoutEndpoint(configuration: Configuration, method: string): Configuration {
  const documents = configuration.api.documents.map((document) => ({
    ...document,
    ...(document.allowed === undefined
      ? {}
      : { allowed: new Map([...document.allowed].filter(([name]) => name !== method)) }),
  }));
  return { ...configuration, api: { ...configuration.api, documents } };
}

/** With this rule only: the others are unchanged. */
function withRule(configuration: Configuration, rule: Rule): Configuration {
  const documents = configuration.api.documents.map((document) => ({ ...document, rules: [rule] }));
  return { ...configuration, api: { ...configuration.api, documents } };
}

/** With other values for the rules of the profile. */
function withValues(configuration: Configuration, value: RuleValues['value']): Configuration {
  const documents = configuration.api.documents.map((document) => ({
    ...document,
    rules: document.rules.map((rule) =>
      rule.profile === undefined
        ? rule
        : { ...rule, profile: { ...rule.profile, values: { ...rule.profile.values, value } } },
    ),
  }));
  return { ...configuration, api: { ...configuration.api, documents } };
}

type Values = RuleValues['value'];

/** Values whose change a request of the pod shows, if they are not empty. */
const shown: readonly string[] = [
  'args',
  'env',
  'any_env',
  'env_like',
  'groups',
  'mounts',
  'storages',
  'exec',
  'images',
];
const switches: readonly string[] = ['terminal', 'no_new_privileges', 'read_only_root'];

/** Returns the values of the pod's containers once for each entry of a list without it, and for each switch in its other position. */
function changedValues({
  api,
}: Configuration): readonly { readonly place: string; readonly value: Values }[] {
  const value = api.documents[0]?.rules.find((rule) => rule.profile !== undefined)?.profile?.values.value;
  if (value === undefined) return [];
  const isInForce = new Set(
    api.documents.flatMap(({ rules }) =>
      rules.flatMap(({ name, profile }) => (profile === undefined ? [] : name)),
    ),
  );
  const keys = isInForce.has('create-container-environment')
    ? shown
    : shown.filter((key) => !key.endsWith('env') && key !== 'env_like');
  const containers = value['container'] as readonly Values[];
  return containers.flatMap((container, index) => {
    const withMember = (key: string, member: Constant): Values => ({
      ...value,
      container: containers.with(index, { ...container, [key]: member }),
    });
    const lists = keys.flatMap((key) => {
      const list = container[key] as readonly Constant[];
      // Two equal rows, and a storage that can be missing, show nothing.
      const single = list.filter(
        (each) =>
          list.filter((other) => text(other) === text(each)).length === 1 &&
          !text(each).includes('watchable-bind'),
      );
      return single
        .map((each) => list.indexOf(each))
        .map((at) => ({
          place: `${text(container['name'] ?? '')}.${key}[${at}]`,
          value: withMember(key, list.toSpliced(at, 1)),
        }));
    });
    const flipped = switches.map((key) => ({
      place: `${text(container['name'] ?? '')}.${key}`,
      value: withMember(key, container[key] !== true),
    }));
    return [...lists, ...flipped];
  });
}

function text(value: Constant): string {
  return JSON.stringify(value);
}

interface Shortened {
  /** The rules in the order of the configuration. */
  readonly index: number;
  readonly rule: PlannedRule;
  /** The removed value, as in messages. */
  readonly value: string;
}

/** Returns every rule once for each of its values, without that value. */
function withoutEachValue(plan: Plan): readonly Shortened[] {
  return plan.rules.flatMap((rule, index) => [
    ...rule.values.map((wanted) => ({
      index,
      rule: { ...rule, values: without(rule.values, wanted) },
      value: asNamed(rule, wanted.value),
    })),
    ...rule.forms
      // The sample does not show whether an image has groups of its own.
      .filter(() => rule.fact !== 'groups')
      .map((wanted) => ({
        index,
        rule: { ...rule, forms: rule.forms.filter((form) => form !== wanted) },
        value: /^name == "(.*?)"/.exec(wanted.condition ?? '')?.[1] ?? '_SERVICE_HOST',
      })),
    ...rule.own.flatMap((own) =>
      own.values.map((wanted) => ({
        index,
        rule: { ...rule, own: shortened(rule.own, own, wanted) },
        value: asNamed(rule, wanted.value),
      })),
    ),
  ]);
}

/** Returns a value as in messages: variables and mounts without the rest of their rows. */
function asNamed({ fact }: PlannedRule, value: Entry): string {
  if (fact === 'variables') return celLiteral(String(value).split('=')[0] ?? '');
  if (typeof value !== 'object') return celLiteral(value);
  if (fact === 'commandLine') return celLiteral(value.slice(1));
  if (fact === 'mountTable') return celLiteral(value.slice(0, 2));
  return fact === 'storageTable' ? celLiteral(value.slice(0, 2)).slice(0, -1) : celLiteral(value);
}

function shortened(
  all: readonly OwnValues[],
  one: OwnValues,
  wanted: OwnValues['values'][number],
): readonly OwnValues[] {
  return all
    .map((own) => (own === one ? { ...own, values: without(own.values, wanted) } : own))
    .filter(({ values }) => values.length > 0);
}

function without<T>(list: readonly Wanted<T>[], one: Wanted<T>): readonly Wanted<T>[] {
  return list.filter((wanted) => wanted !== one);
}
