import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keysIn, type Place, placeAt, textsOf } from './place.js';

/** The place at the `|` of a text, with the text of its part. */
function at(
  marked: string,
): Omit<Exclude<Place, { kind: 'nowhere' }>, 'start' | 'end' | 'table'> | 'nowhere' {
  const place = placeAt(marked.replace('|', ''), marked.indexOf('|'));
  if (place.kind === 'nowhere') return 'nowhere';
  const { start, end, ...rest } = place;
  const shown = { ...rest, part: marked.replace('|', '').slice(start, end) };
  if ('table' in shown) Reflect.deleteProperty(shown, 'table');
  return shown;
}

const value = (path: readonly string[], part: string, inList = false, isText = false): object => ({
  kind: 'value',
  path,
  inList,
  isText,
  part,
});

const cases: readonly (readonly [string, object | 'nowhere'])[] = [
  ['|', { kind: 'key', path: [], part: '' }],
  ['# a|', 'nowhere'],
  ['[ap|i', { kind: 'header', list: false, part: 'api' }],
  ['[[api.ru|le]]', { kind: 'header', list: true, part: 'api.rule' }],
  ['[api]\n|', { kind: 'key', path: ['api'], part: '' }],
  ['[api] |', 'nowhere'],
  ['[api]\nstr|ict = true', { kind: 'key', path: ['api'], part: 'strict' }],
  ['[[api.rule]]\n"na|me" = 1', { kind: 'key', path: ['api', 'rule'], part: '"name"' }],
  ['api.|', { kind: 'key', path: ['api'], part: '' }],
  ['api.strict = |', value(['api', 'strict'], '')],
  ['[api]\nstrict = tr|ue', value(['api', 'strict'], 'true')],
  ['[api]\nstrict = true |', 'nowhere'],
  ['[api]\nlist = ["a", "b|"]', value(['api', 'list'], '"b"', true, true)],
  ['[api]\nlist = [\n  "a",\n  |\n]', value(['api', 'list'], '', true)],
  ['[api]\nlist = ["a\n[agent]\nlog|', { kind: 'key', path: ['agent'], part: 'log' }],
  ['[api]\nlist = [\n"a",\nstrict = t|', value(['api', 'strict'], 't')],
  ['[[listener]]\ntls = { ca = "x", ke|', { kind: 'key', path: ['listener', 'tls'], part: 'ke' }],
  ['[[listener]]\ntls = { ca = "x|" }', value(['listener', 'tls', 'ca'], '"x"', false, true)],
  [
    '[image]\nsignatures = [{ scope = "a", keys = ["k|',
    value(['image', 'signatures', 'keys'], '"k', true, true),
  ],
  [
    "[[api.rule]]\nexpression = '''\nar|gs\n'''\nname = 1",
    value(['api', 'rule', 'expression'], "'''\nargs\n'''", false, true),
  ],
  ['[[api.rule]]\nexpression = """a\\"""" |', 'nowhere'],
  ["a = 'x'\nb = '#|'", value(['b'], "'#'", false, true)],
];

for (const [marked, expected] of cases)
  test(JSON.stringify(marked), () => assert.deepEqual(at(marked), expected));

test('what nests more deeply than the language can is nowhere', () => {
  for (const nested of [
    (levels: number) => `x = ${'{a = '.repeat(levels)}`,
    (levels: number) => 'x.'.repeat(levels),
    (levels: number) => `[${'x.'.repeat(levels)}y]\nz`,
    (levels: number) => `${'x.'.repeat(levels)}y = [{ z`,
  ]) {
    const kindAt = (levels: number): string => placeAt(nested(levels), nested(levels).length).kind;
    assert.notEqual(kindAt(30), 'nowhere', nested(1));
    assert.equal(kindAt(33), 'nowhere', nested(1));
  }
});

test('texts and keys are those of the same table', () => {
  const text =
    '[[api.rule]]\nendpoints = ["A"]\n[[api.rule]]\nendpoints = ["B", "C"]\nname = "n"\nexpression = ""';
  const place = placeAt(text, text.length - 1);
  assert.ok(place.kind === 'value');
  assert.deepEqual(textsOf(text, place.table, 'endpoints'), ['B', 'C']);
  assert.deepEqual(keysIn(text, place.table, text.indexOf('expression')), ['endpoints', 'name']);
});

test('each position of a text that is not TOML has a place', () => {
  const text = '[[[a.]]}{ "x\\\n\'\'\' , = ]\r\n"""\\';
  for (let offset = 0; offset <= text.length; offset += 1) placeAt(text, offset);
});
