import { runs } from '@kata-agent/base/testing';
import { type Entry, type FactName, originKey } from '@kata-agent/workloads';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import * as fc from 'fast-check';
import { offlineAuthorizer, ruleContextOf } from '../suites/offline-authorizer.js';
import { configurationOf } from '../testing/configuration-of.js';
import type { Ask } from './plan.js';
import { planConfiguration } from './plan-configuration.js';
import { renderPlan, writeConfiguration } from './render-plan.js';

/** Strings from `fc.string` are well-formed; quotes and line ends are frequent. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(
      "'",
      '"',
      '\\',
      '\n',
      '\r',
      '\t',
      '\0',
      '/',
      '*',
      '#',
      ']',
      '\u2028',
      '\u007f',
      'n',
    ),
  }),
);

test('property: the text is a valid configuration that allows the asks and no similar requests', async () => {
  const property = fc.asyncProperty(fc.array(text, { minLength: 1 }), text, async (args, reason) => {
    const values: Ask['values'] = new Map([['commandLine', [['', ...args]]]]);
    const ask: Ask = { method: 'ExecProcess', values, because: [reason] };
    const asks: readonly Ask[] = [ask, { method: 'WaitProcess', because: [reason] }];
    const written = writeConfiguration(asks, { title: [reason] });
    const configuration = await configurationOf(written, async () => createRuleChecker());
    const rules = configuration.api.documents.flatMap((document) => document.rules);
    const authorizer = offlineAuthorizer(configuration, compileRules(rules));
    const outcome = (words: readonly string[]): string => {
      const request = create(ExecProcessRequestSchema, { containerId: 'c', process: { Args: [...words] } });
      const call = { method: 'ExecProcess', request } as const;
      return authorizer.decide('ExecProcess', request, ruleContextOf(call, authorizer.listeners)).outcome;
    };
    assert.equal(outcome(args), 'allow');
    assert.equal(outcome([...args, '']), 'deny');
    assert.equal(outcome([`${args[0] ?? ''} `, ...args.slice(1)]), 'deny');
  });
  await fc.assert(property, { numRuns: runs(200) });
});

test('each value has its own origin, or that of its ask', () => {
  const written = writeConfiguration([
    {
      method: 'ExecProcess',
      facts: { environment: ['A', 'B'] },
      because: ['record 7'],
      origins: new Map([[originKey('environment', 'B'), 'env[0]']]),
    },
  ]);
  assert.match(written, /"A", \/\/ record 7\n {2}"B", \/\/ env\[0\]\n/);
  assert.match(written, /"ExecProcess", # record 7\n/);
});

test('many origins are counted, and long ones are truncated', () => {
  const because = Array.from({ length: 9 }, (_, index) => `record ${index}`);
  const written = writeConfiguration([{ method: 'WaitProcess', because: [...because, 'x'.repeat(500)] }]);
  assert.match(written, /# record 0, record 1, record 2, and 7 more\n/);
  const long = writeConfiguration([{ method: 'WaitProcess', because: ['x'.repeat(500)] }]);
  assert.ok(long.split('\n').every((line) => line.length < 160));
});

test('a fact that one ask does not have makes no rule, and the text says so', () => {
  const known: Ask = { method: 'ExecProcess', facts: { command: 'ls', terminal: false }, because: ['a'] };
  const unknown = new Map([['command', 'the image decides'] as const]);
  const written = writeConfiguration([known, { ...known, because: ['b'], unknown }]);
  assert.match(written, /# NOT CONSTRAINED: ExecProcess, commands\..*\n# - the image decides\n/);
  assert.doesNotMatch(written, /name = "exec-process-commands"/);
  assert.match(written, /name = "exec-process-terminals"/);
});

test('a rule whose origins make it too long is written without them', async () => {
  const asks = (count: number): readonly Ask[] => [
    { method: 'WaitProcess', because: ['every pod'] },
    ...Array.from(
      { length: count },
      (_, index): Ask => ({
        method: 'ExecProcess',
        facts: { command: `/usr/bin/tool-${index}` },
        because: [`record ${index} of a log with a long name, in a directory with another`],
      }),
    ),
  ];
  const long = writeConfiguration(asks(400));
  assert.match(long, /"\/usr\/bin\/tool-399",\n/);
  const configuration = await configurationOf(long, async () => createRuleChecker());
  assert.equal(configuration.api.documents[0]?.rules.length, 1);
});

test('a list too long for one rule is split, with the same decisions', async () => {
  const variables = Array.from({ length: 1_500 }, (_, index) => `SETTING_${index}=value ${index}`);
  const written = writeConfiguration([
    { method: 'WaitProcess', because: ['every pod'] },
    { method: 'ExecProcess', values: new Map([['variables', variables]]), because: ['env'] },
  ]);
  const configuration = await configurationOf(written, async () => createRuleChecker());
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  assert.ok(rules.length > 2);
  assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
  const authorizer = offlineAuthorizer(configuration, compileRules(rules));
  const outcome = (...entries: readonly string[]): string => {
    const request = create(ExecProcessRequestSchema, { containerId: 'c', process: { Env: [...entries] } });
    const call = { method: 'ExecProcess', request } as const;
    return authorizer.decide('ExecProcess', request, ruleContextOf(call, authorizer.listeners)).outcome;
  };
  for (const entry of variables) {
    assert.equal(outcome(entry), 'allow');
    assert.equal(outcome(`${entry}.`), 'deny');
  }
  for (const name of ['', 'A', 'SETTING', 'SETTING_1500', 'SETTING_7x', 'Z', 'ä']) {
    assert.equal(outcome(`${name}=value`), 'deny', name);
  }
  assert.equal(outcome(...variables), 'allow');
});

test('a value too long for any rule is reported, also in the plan', async () => {
  const plan = planConfiguration([
    { method: 'WaitProcess', because: ['every pod'] },
    {
      method: 'ExecProcess',
      values: new Map([['variables', [`LONG=${'x'.repeat(20_000)}`, 'SHORT=y']]]),
      because: ['env'],
    },
  ]);
  assert.deepEqual(
    plan.tooLong.map(({ method, name }) => [method, name]),
    [['ExecProcess', 'environment']],
  );
  assert.match(renderPlan(plan, []), /# NOT CONSTRAINED: ExecProcess, environment\./);
});

test('a value of one container is not allowed for another', async () => {
  const asked = (name: string, command: string, capabilities: readonly string[]): Ask => ({
    method: 'CreateContainer',
    container: name,
    values: new Map<FactName, readonly Entry[]>([
      ['commandLine', [[name, command]]],
      ['capabilities', capabilities],
    ]),
    because: [name],
  });
  const written = writeConfiguration([
    asked('', '/pause', ['CAP_KILL']),
    asked('init', '/init', ['CAP_KILL', 'CAP_NET_ADMIN', 'CAP_CHOWN']),
    asked('server', '/server', ['CAP_KILL', 'CAP_CHOWN']),
    ...(['StartContainer', 'RemoveContainer', 'WaitProcess', 'SignalProcess'] as const).map(
      (method): Ask => ({ method, because: ['every pod'] }),
    ),
  ]);
  const configuration = await configurationOf(written, async () => createRuleChecker());
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  // Only the lists decide, without the agent's own checks.
  const settings = { ...configuration.settings, privilegedContainers: 'allow' as const };
  const authorizer = offlineAuthorizer({ ...configuration, settings }, compileRules(rules));
  const decide = (name: string, command: string, names: string[]): string | undefined => {
    const request = create(CreateContainerRequestSchema, {
      containerId: 'c',
      OCI: {
        Process: { Args: [command], Capabilities: { Bounding: names } },
        Annotations: name === '' ? {} : { 'io.kubernetes.cri.container-name': name },
      },
    });
    const call = { method: 'CreateContainer', request } as const;
    return authorizer.decide('CreateContainer', request, ruleContextOf(call, authorizer.listeners)).rule;
  };
  assert.equal(decide('init', '/init', ['CAP_NET_ADMIN', 'CAP_KILL']), undefined);
  assert.equal(decide('server', '/server', ['CAP_KILL', 'CAP_CHOWN']), undefined);
  assert.equal(decide('server', '/server', ['CAP_NET_ADMIN']), 'create-container-capabilities');
  assert.equal(decide('', '/pause', ['CAP_CHOWN']), 'create-container-capabilities');
  assert.equal(decide('init', '/init', ['CAP_SYS_ADMIN']), 'create-container-capabilities');
  assert.equal(decide('server', '/other', []), 'create-container-commands');
  assert.equal(decide('server', '/init', []), 'create-container-commands');
  assert.equal(decide('other', '/server', []), 'create-container-commands');
});
