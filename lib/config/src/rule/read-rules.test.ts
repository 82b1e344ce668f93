import assert from 'node:assert/strict';
import { test } from 'node:test';
import { membersOf, methodNames } from '@kata-agent/catalogue';
import type { RuleChecker } from '../index.js';
import { fails, load, open, warnings } from '../loading.test.fixture.js';

const rule = `${open}[[api.rule]]
name = "known-commands"
endpoints = ["ExecProcess"]
expression = 'args[0] == "/bin/healthcheck"'
message = "only the health check"
`;

test('a rule has its methods and the position of its name', async () => {
  const { api, restricted } = await load(
    `${rule}on_denied_read = "eof"\n`.replace('["ExecProcess"]', '["@logs", "ExecProcess"]'),
  );
  const [read] = api.documents[0]?.rules ?? [];
  assert.deepEqual(Array.from(read?.methods.keys() ?? []), [...membersOf('@logs', undefined), 'ExecProcess']);
  assert.deepEqual(
    { ...read, methods: undefined },
    {
      name: 'known-commands',
      methods: undefined,
      expression: 'args[0] == "/bin/healthcheck"',
      checked: { faults: [], needsGuest: [] },
      message: 'only the health check',
      enforcement: 'enforce',
      onDeniedRead: 'eof',
      span: { file: '/c.toml', line: 4, column: 8, endColumn: 24 },
    },
  );
  assert.equal(restricted, true);
});

test('"*" covers all methods, or those of the release if there is one', async () => {
  const all = rule.replace('["ExecProcess"]', '["*"]');
  const sizeOf = async (text: string) => (await load(text)).api.documents[0]?.rules[0]?.methods.size;
  assert.equal(await sizeOf(all), methodNames.length);
  assert.ok(((await sizeOf(all.replace('[api]\n', '[api]\nrelease = "2.0.0"\n'))) ?? 0) < methodNames.length);
});

test('the checker is loaded once, and only when there is a rule', async () => {
  let loaded = 0;
  const rules = async (): Promise<RuleChecker> => {
    loaded += 1;
    return { check: () => ({ faults: [], needsGuest: [] }), patternFault: () => undefined };
  };
  await load(open, { rules });
  assert.equal(loaded, 0);
  await load(`${rule}${rule.replace(open, '').replace('known-commands', 'b')}`, { rules });
  assert.equal(loaded, 1);
});

test('a fault of the checker has its position in the document, across escapes and lines', async () => {
  const checker: RuleChecker = {
    patternFault: () => undefined,
    check: ({ expression, methods }) => {
      assert.deepEqual(methods, ['ExecProcess']);
      const start = expression.indexOf('nope');
      const [message, help] = ['unknown field "nope"', 'did you mean "name"?'];
      return {
        faults: [{ severity: 'error', code: 'KA1303', start, end: start + 4, message, help }],
        needsGuest: [],
      };
    },
  };
  const rules = async () => checker;
  const with_ = (literal: string): string => rule.replace(/expression = .*/, `expression = ${literal}`);
  assert.equal(
    await fails(with_('"\\"\\u00e9\\" != request.nope"'), { rules }),
    `/c.toml:6:37: error[KA1303]: unknown field "nope"
  expression = "\\"\\u00e9\\" != request.nope"
                                      ^^^^
help: did you mean "name"?`,
  );
  assert.match(
    await fails(with_("'''\ntrue\n  && request.nope'''"), { rules }),
    /^\/c\.toml:8:14: error\[KA1303\]: unknown field "nope"\n {4}&& request\.nope'''\n {15}\^\^\^\^\n/,
  );
});

test('a warning of the checker becomes a warning of the document', async () => {
  const rules = async (): Promise<RuleChecker> => ({
    patternFault: () => undefined,
    check: () => ({
      needsGuest: [],
      faults: [{ severity: 'warning', code: 'KA1307', start: 0, end: 1, message: 'always true' }],
    }),
  });
  assert.equal(warnings(await load(rule, { rules }))[0], 'always true');
});

for (const [name, text, message] of [
  [
    'no list of tables',
    `${open}[api.rule]\nname = "a"\n`,
    /api\.rule must be a list of tables, not a single table\n.*\n.*\nhelp: write \[\[api\.rule\]\]/,
  ],
  [
    'a list of numbers',
    '[api]\nrule = [1]\nallowed_endpoints = ["*"]\n',
    /api\.rule must be a list of tables, not a list/,
  ],
  [
    'no expression',
    rule.replace(/expression.*\n/, ''),
    /^\/c\.toml:3:7: error\[KA1104\]: this \[\[api\.rule\]\] has no expression/,
  ],
  [
    'an empty expression',
    rule.replace(/'args.*'/, "' '"),
    /expression must be an expression in CEL, not the text " "/,
  ],
  [
    'no endpoints',
    rule.replace('["ExecProcess"]', '[]'),
    /^\/c\.toml:5:13: error\[KA1311\]: this rule names no endpoint/,
  ],
  [
    'an unknown endpoint',
    rule.replace('ExecProcess', 'ExecProces'),
    /^\/c\.toml:5:14: error\[KA1201\]: unknown endpoint "ExecProces" in endpoints\n.*\n.*\nhelp: did you mean "ExecProcess"\?/,
  ],
  [
    'a group that is empty in its release',
    rule.replace('[api]\n', '[api]\nrelease = "2.0.0"\n').replace('ExecProcess', '@swap'),
    /^\/c\.toml:6:13: error\[KA1311\]: no endpoint of this rule existed in release = "2\.0\.0"/,
  ],
  [
    'an unknown key',
    `${rule}mesage = "x"\n`,
    /unknown key "mesage" in \[\[api\.rule\]\]\n.*\n.*\nhelp: did you mean "message"\?/,
  ],
  [
    'a name with a space',
    rule.replace('known-commands', 'known commands'),
    /name must be a name of ASCII letters/,
  ],
  ['an unknown enforcement', `${rule}enforcement = "adit"\n`, /help: did you mean "audit"\?/],
  [
    'a message of two lines',
    rule.replace('"only the health check"', '"a\\nb"'),
    /message must be a text of one line/,
  ],
  ['on_denied_read without a read', `${rule}on_denied_read = "eof"\n`, /on_denied_read has no effect/],
  [
    'two of a name',
    rule + rule.replace(open, ''),
    /^\/c\.toml:9:8: error\[KA1107\]: there is a \[\[api\.rule\]\] with the name "known-commands" already, in \/c\.toml:4/,
  ],
] as const) {
  test(`${name} is fatal`, async () => {
    assert.match(await fails(text), message);
  });
}

test('a method left out of the build is allowed in a rule and a block-list: neither requests it', async () => {
  const handlers = new Set(methodNames.filter((method) => method !== 'ExecProcess'));
  const text = rule.replace('allowed_endpoints = ["*"]', 'blocked_endpoints = ["ExecProcess"]');
  const loaded = await load(text, { handlers });
  assert.deepEqual(warnings(loaded), [
    'rule "known-commands" has no effect: none of its endpoints is served',
  ]);
  assert.match(
    await fails('[api]\nallowed_endpoints = ["ExecProcess"]\n', { handlers }),
    /"ExecProcess" was left out when this agent was built/,
  );
});
