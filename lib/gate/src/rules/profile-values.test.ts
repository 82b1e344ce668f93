import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { Decision, MethodName } from '@kata-agent/catalogue';
import { profiles, recordType, ruleNameOf } from '@kata-agent/catalogue/profiles';
import type { Rule, RuleValues } from '@kata-agent/config';
import { ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import * as fc from 'fast-check';
import { compileRules, createRuleChecker } from './index.js';

const span = { file: 'config.toml', line: 1, column: 1, endColumn: 2 };
const methods: ReadonlyMap<MethodName, { entry: string; span: typeof span }> = new Map([
  ['ExecProcess', { entry: 'ExecProcess', span }],
]);
const checker = createRuleChecker();

const type = recordType({
  flag: { type: 'bool', purpose: '' },
  words: { type: { list: 'string' }, purpose: '' },
  pattern: { type: 'pattern', purpose: '' },
  rows: { type: { list: { list: 'string' } }, purpose: '' },
  container: {
    tables: {
      name: { type: 'string', purpose: '' },
      args: { type: { list: 'string' }, purpose: '' },
      patterns: { type: { list: 'pattern' }, purpose: '' },
    },
    purpose: '',
  },
});

function values(value: Partial<RuleValues['value']> = {}): RuleValues {
  const none = { flag: false, words: [], pattern: '^$', rows: [], container: [] };
  return { type, value: { ...none, ...value } };
}

/** Decides an exec of these words. */
function decide(rule: Pick<Rule, 'expression'> & Partial<Rule>, args: readonly string[]): Decision {
  const allowed: Decision = { outcome: 'allow', method: 'ExecProcess', listener: 'l', reason: 'listed' };
  const book = compileRules([{ name: 'own', methods, enforcement: 'enforce', span, ...rule }]);
  const request = create(ExecProcessRequestSchema, { process: { Args: [...args] } });
  const context = {
    listener: 'l',
    peer: { kind: 'vsock', cid: 2 },
    sandbox: { id: 's', containers: [] },
    container: { id: 'c', state: 'running', claimed: { image: '', annotations: {} } },
  } as const;
  return book.decide(allowed, request, context);
}

const word = fc.constantFrom('sh', '-c', 'ls', 'a b', '__proto__', 'constructor', '');
const list = fc.array(word, { maxLength: 4 });
const literal = (texts: readonly string[]): string =>
  `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`;

test('a rule that reads values decides as one that has them in its text', () => {
  const shapes: readonly ((
    given: readonly string[],
    rows: readonly (readonly string[])[],
  ) => readonly [string, string])[] = [
    (given) => ['args.all(a, a in values.words)', `args.all(a, a in ${literal(given)})`],
    (given) => ['args == values.words', `args == ${literal(given)}`],
    (_, rows) => [
      'args in values.rows',
      rows.length === 0 ? 'false' : `args in [${rows.map(literal).join(', ')}]`,
    ],
    (given) => [
      'values.container.exists(c, c.name == "app" && args.all(a, a in c.args))',
      `args.all(a, a in ${literal(given)})`,
    ],
    (given) => ['values.container.all(c, c.name != "app" || args == c.args)', `args == ${literal(given)}`],
  ];
  fc.assert(
    fc.property(
      list,
      list,
      fc.array(list, { maxLength: 3 }),
      fc.nat(shapes.length - 1),
      (args, given, rows, at) => {
        const [reading, text] = shapes[at]?.(given, rows) ?? assert.fail();
        const container = [
          { name: '', args: ['/pause'], patterns: [] },
          { name: 'app', args: given, patterns: [] },
        ];
        const own = decide(
          { expression: reading, profile: { name: 'p', values: values({ words: given, rows, container }) } },
          args,
        );
        assert.equal(own.outcome, decide({ expression: text }, args).outcome, reading);
      },
    ),
  );
});

test('patterns of values are compiled with the rule', () => {
  const container = [{ name: 'app', args: [], patterns: ['^a+$', '^b$'] }];
  const expression =
    'values.container.exists(c, c.patterns.exists(p, args[0].matches(p))) || args[0].matches(values.pattern)';
  const rule = { expression, profile: { name: 'p', values: values({ container, pattern: '^c$' }) } };
  const outcomes = ['aa', 'b', 'c', 'd'].map((text) => decide(rule, [text]).outcome);
  assert.deepEqual(outcomes, ['allow', 'allow', 'allow', 'deny']);
});

test('faults name the value', () => {
  const faultOf = (expression: string, own: RuleValues | undefined = values()): string =>
    checker.check({ expression, methods: ['ExecProcess'], ...(own === undefined ? {} : { values: own }) })
      .faults[0]?.message ?? '';
  assert.match(faultOf('values.word == []'), /values has no field "word"/);
  assert.match(faultOf('values.container.all(c, c.nam == "")'), /values.container has no field "nam"/);
  assert.match(faultOf('values == values'), /cannot be compared as a whole/);
  assert.match(faultOf('args.all(values, values == "")'), /hides a name/);
  assert.match(
    checker.check({ expression: 'values.flag', methods: ['ExecProcess'] }).faults[0]?.message ?? '',
    /there is no "values" here/,
  );
});

test('a rule of a profile is compiled at the first call, and one that does not compile denies', () => {
  const lazy = { profile: { name: 'p', values: values({ flag: true }) } };
  assert.equal(decide({ expression: 'values.flag', ...lazy }, []).outcome, 'allow');
  const { outcome, code, reason } = decide({ expression: 'values.flags', ...lazy }, []);
  assert.deepEqual([outcome, code], ['deny', 'KA3102']);
  assert.match(reason, /rule "own" could not be evaluated: values has no field "flags"/);
  const missing: RuleValues = { type, value: {} };
  const denied = decide({ expression: '!values.flag', profile: { name: 'p', values: missing } }, []);
  assert.deepEqual([denied.outcome, denied.code], ['deny', 'KA3102']);
});

for (const profile of profiles.values())
  test(`every rule of ${profile.name} compiles, and says whether it reads the guest`, () => {
    for (const rule of profile.rules) {
      const own: RuleValues = { type: recordType(profile.values), value: sampleOf(profile.values) };
      const { faults, needsGuest } = checker.check({
        expression: rule.expression,
        methods: [rule.method],
        values: own,
      });
      assert.deepEqual(faults, [], ruleNameOf(rule));
      assert.equal(needsGuest.length > 0, rule.readsGuest === true, ruleNameOf(rule));
    }
  });

/** Every value once. */
function sampleOf(rows: Parameters<typeof recordType>[0]): RuleValues['value'] {
  return Object.fromEntries(
    Object.entries(rows).map(([key, row]) => {
      if ('tables' in row) return [key, [sampleOf(row.tables)]];
      const { type: own } = row;
      if (typeof own === 'string') return [key, { string: 'x', pattern: '^x$', bool: false, int: 1n }[own]];
      return [key, []];
    }),
  );
}
