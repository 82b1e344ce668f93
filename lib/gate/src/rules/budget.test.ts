import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import { ask, fault, rule } from './rules.test.fixture.js';

/** The largest possible request: a frame of 4 MiB with 20,000 fields. */
const wide = create(ExecProcessRequestSchema, {
  process: { Args: Array.from({ length: 19_000 }, (_, index) => `a${index}`), Env: ['A=b'] },
});
const long = create(ExecProcessRequestSchema, { process: { Args: ['ab'.repeat(1_900_000)], Env: ['A=b'] } });
const alike = create(ExecProcessRequestSchema, {
  process: {
    Args: ['ab'.repeat(500_000), 'ab'.repeat(500_000), ...Array.from({ length: 9_000 }, () => 'a')],
  },
});
const texts = create(ExecProcessRequestSchema, {
  // Neither periodic nor random, so that each text drives a pattern's automaton through new states.
  process: { Args: Array.from({ length: 200 }, (_, row) => letters(4_000, row)) },
});

function letters(length: number, seed: number): string {
  let state = seed + 1;
  let text = '';
  for (let count = 0; count < length; count += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    text += (state >> 16) & 1 ? 'a' : 'b';
  }
  return text;
}

/** Many equal values, in fields of each kind. */
const repeated = create(ExecProcessRequestSchema, {
  process: {
    Args: Array.from({ length: 6_000 }, () => 'a'),
    Env: Array.from({ length: 6_000 }, () => 'a'),
    User: { AdditionalGids: Array.from({ length: 6_000 }, () => 1) },
  },
});
const fifty = `[${Array.from({ length: 50 }, (_, index) => index).join(', ')}]`;

const hundred = `[${Array.from({ length: 100 }, (_, index) => index).join(', ')}]`;

/** Each expression is stopped wherever it occurs: nothing can catch an exceeded budget. */
const endless: Readonly<Record<string, readonly [expression: string, request: typeof wide]>> = {
  'loops in loops': ['args.all(a, args.all(b, true)) || true', wide],
  'loops in loops, negated': ['!args.exists(a, args.exists(b, b == "")) || !terminal', wide],
  'loops in a branch': ['(args.all(a, args.all(b, true)) ? 1 : 2) == 1 || true', wide],
  'loops in a condition': ['terminal ? true : args.all(a, args.all(b, true)) || true', wide],
  'loops that err in each round': ['args.all(a, args[99999] == "") || true', wide],
  'loops in a loop that another would end': ['["x"].exists(x, args.all(a, args.all(b, true)) || true)', wide],
  'lists of the rule itself': [
    `${hundred}.all(a, ${hundred}.all(b, ${hundred}.all(c, ${hundred}.all(d, true)))) || true`,
    wide,
  ],
  'many loops in a row': [
    `${Array.from({ length: 60 }, () => 'args.exists(a, a == "")').join(' || ')} || true`,
    wide,
  ],
  'exists_one in exists_one': ['args.exists_one(a, args.exists_one(b, a == b)) || true', wide],
  'lists that grow': ['args.map(a, args).map(l, l + l).size() == 0 || true', wide],
  'lists that are compared': ['args.all(a, args.map(b, b) == args) || true', wide],
  'lists that are alike': [`${fifty}.all(n, request.process.Args == request.process.Env) || true`, repeated],
  'lists that are searched in vain': [`${fifty}.all(n, !("b" in request.process.Args)) || true`, repeated],
  'lists of numbers': [`${fifty}.all(n, request.process.User.AdditionalGids.size() > n) || true`, repeated],
  'lists that are searched': ['args.all(a, !(a in args.filter(b, b == "x"))) || true', wide],
  'maps of many keys': [
    'args.map(a, {a: a, a + a: a}).map(m, {m.size(): m, 7: m}).size() == 0 || true',
    wide,
  ],
  'texts that double': [
    `["x"].map(x, args[0] + args[0])${'.map(x, x + x)'.repeat(10)}.size() == 0 || true`,
    long,
  ],
  'long texts that are alike': ['args.all(a, args[0] == args[1]) || true', alike],
  'texts that are counted': ['[1, 2].all(n, args[0].size() > n) || true', long],
  'texts that are split': ['args[0].split("") == [] || true', long],
  'texts that are searched': ['[1, 2, 3, 4, 5].all(n, !args[0].contains("x")) || true', long],
  'texts that are converted': ['string(bytes(args[0])) == "" || true', long],
  'paths of many parts': ['[1, 2, 3].all(n, !args[0].within("/")) || true', long],
  'patterns on long texts': ['args.exists(a, a.matches("(a|b)*a(a|b){100}c?$")) || true', texts],
  'patterns that count': ['args.exists(a, a.matches("([ab]{1,30}){15}x*$")) || true', texts],
  'patterns of many states': ['args.map(a, a.matches("^(a|b)*a(a|b){20}$")) == [] || true', texts],
};

for (const [name, [expression, request]] of Object.entries(endless)) {
  test(`the budget ends ${name}, and nothing absorbs that`, () => {
    assert.equal(fault(expression, 'ExecProcess'), 'none');
    const { outcome, reason } = ask([rule(expression, ['ExecProcess'])], 'ExecProcess', request);
    assert.deepEqual(
      [outcome, reason],
      ['deny', 'rule "r" could not be evaluated: took more than 250000 steps (config.toml:7)'],
    );
  });
}

test('a text too long for a pattern denies, like an error', () => {
  const asked = (expression: string) => ask([rule(expression, ['ExecProcess'])], 'ExecProcess', long);
  assert.match(asked('args[0].matches("x")').reason, /matches\(\) takes 8000 characters, not 3800000/);
  assert.equal(asked('args[0].matches("x") || true').outcome, 'allow');
});

test('reasonable rules on a large request stay within the budget', () => {
  for (const expression of [
    'args.all(a, a.startsWith("a") && a.size() < 100)',
    'args.exists(a, a == "a18999") && "a18999" in args',
    'args.filter(a, a == "a5").size() == 1',
  ])
    assert.equal(ask([rule(expression, ['ExecProcess'])], 'ExecProcess', wide).outcome, 'allow', expression);
});

test('an expression has size limits', () => {
  const rows: readonly (readonly [string, string])[] = [
    [`args[0] == "${'a'.repeat(20_000)}"`, 'an expression has at most 16384 characters, this one has 20013'],
    [`${'('.repeat(33)}true${')'.repeat(33)}`, 'brackets are nested more than 32 deep'],
    ['['.repeat(8_000), 'brackets are nested more than 32 deep'],
    [`true${' '.repeat(3_000)}`, 'at most 2000 consecutive blanks and comment characters are allowed'],
    [`true//${'x\n//'.repeat(600)}`, 'at most 2000 consecutive blanks'],
    [`1${' + 1'.repeat(200)} == 1`, 'operators are nested more than 100 deep'],
    [`true${' ? true : true'.repeat(200)}`, 'operators are nested more than 100 deep'],
    [`args${'[0]'.repeat(5_000)} == ""`, 'operators are nested more than 100 deep'],
    [`request${'.process'.repeat(2_000)} == 1`, 'operators are nested more than 100 deep'],
    [`args in [${'"", '.repeat(5_000)}]`, 'an expression has at most 16384'],
    [`args[0] in [${'1,'.repeat(7_000)}]`, 'the expression has more than 6000 parts'],
    [`${'- '.repeat(8_000)}1 == 1`, ''],
    [`${'!'.repeat(16_000)}true`, ''],
  ];
  for (const [expression, message] of rows) {
    const found = fault(expression, 'ExecProcess');
    assert.ok(found.includes(message), `${expression.slice(0, 60)}: ${found.slice(-200)}`);
  }
});

test('reading a map of the request costs steps every time', () => {
  const Annotations = Object.fromEntries(Array.from({ length: 6_000 }, (_, index) => [`a${index}`, '']));
  const request = create(CreateContainerRequestSchema, { OCI: { Annotations } });
  const asked = (expression: string) =>
    ask([rule(expression, ['CreateContainer'])], 'CreateContainer', request).outcome;
  assert.equal(asked('request.OCI.Annotations.size() == 6000'), 'allow');
  assert.equal(asked(`${fifty}.all(n, request.OCI.Annotations.size() > n) || true`), 'deny');
});
