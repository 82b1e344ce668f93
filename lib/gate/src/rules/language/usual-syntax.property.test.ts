import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { parseAnySyntax } from './parse-expression.js';
import { scan } from './tokens.js';
import { type ParsedTree, parseUsualSyntax } from './usual-syntax.js';

const words = ['a', 'b', 'name', 'size', 'has', 'all', 'exists', 'map', 'filter', 'exists_one', 'existsOne'];
/** Names that begin as words of the language do. */
const near = ['ask', 'inner', 'format', 'trueish', 'nullable', 'letter', 'variable', 'falsey', 'iffy', '_in'];
const literals = [
  '0',
  '1',
  '42',
  '0x1F',
  '0X1F',
  '7u',
  '8U',
  '007',
  '1.5',
  '1e3',
  'true',
  'false',
  'null',
  '"x"',
  "'y'",
];
const texts = ['""', '"\\n"', '"\\\\d\\"\'"', '"\\x41"', '"😀"', 'r"\\d"', 'b"z"', '"""t"""', "''''", '"ä"'];
const binary = ['==', '!=', '<', '<=', '>', '>=', 'in', '+', '-', '*', '/', '%', '&&', '||'];
const others = ['(', ')', '[', ']', '{', '}', ',', '.', '?', ':', '!', '-', '`', 'as', 'if', '==', '&', '@'];
const pieces = [...words, ...near, ...literals, ...texts, ...binary, ...others];

/** The tokens of an expression, mostly a valid one. */
const { expression } = fc.letrec<{ expression: string[]; list: string[] }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(...words, ...near, ...literals, ...texts).map((word) => [word]),
    fc
      .tuple(tie('expression'), fc.constantFrom(...binary), tie('expression'))
      .map(([left, operator, right]) => [...left, operator, ...right]),
    fc
      .tuple(tie('expression'), tie('expression'), tie('expression'))
      .map(([test, yes, no]) => [...test, '?', ...yes, ':', ...no]),
    tie('expression').map((inner) => ['(', ...inner, ')']),
    fc.tuple(fc.constantFrom('!', '-', '--', '!!'), tie('expression')).map(([sign, of]) => [sign, ...of]),
    fc.tuple(tie('expression'), fc.constantFrom(...words)).map(([operand, name]) => [...operand, '.', name]),
    fc.tuple(tie('expression'), tie('expression')).map(([list, at]) => [...list, '[', ...at, ']']),
    fc.tuple(fc.constantFrom(...words), tie('list')).map(([name, args]) => [name, '(', ...args, ')']),
    fc
      .tuple(tie('expression'), fc.constantFrom(...words), tie('list'))
      .map(([target, name, args]) => [...target, '.', name, '(', ...args, ')']),
    fc
      .tuple(tie('expression'), fc.constantFrom('all', 'exists', 'map', 'filter', 'exists_one'), tie('list'))
      .map(([target, name, args]) => [...target, '.', name, '(', 'x', ',', ...args, ')']),
    fc.tuple(tie('list'), fc.constantFrom('', ',')).map(([items, end]) => ['[', ...items, end, ']']),
  ),
  list: fc
    .array(tie('expression'), { maxLength: 3 })
    .map((items) => items.flatMap((item, index) => (index === 0 ? item : [',', ...item]))),
}));

const gap = fc.constantFrom('', ' ', '\n', '// c\n', ' // "(\n ');

/** The text of an expression, of which some tokens may be replaced. */
const text = fc
  .tuple(
    expression,
    fc.array(fc.tuple(fc.nat(), fc.constantFrom(...pieces), fc.nat(1)), { maxLength: 2 }),
    fc.array(fc.tuple(fc.nat(), gap), { maxLength: 4 }),
  )
  .map(([tokens, changes, gaps]) => {
    const changed = [...tokens];
    for (const [at, piece, removed] of changes) changed.splice(at % (changed.length + 1), removed, piece);
    const spaces: string[] = changed.map((token) => (/^\w/.test(token) ? ' ' : ''));
    for (const [at, space] of gaps) spaces[at % (spaces.length || 1)] = space;
    return changed.map((token, index) => `${spaces[index]}${token}`).join('');
  });

/** Replaces each offset by that of the first token from there: the library's is sometimes that of white space before it. */
function normalized(tree: ParsedTree, starts: readonly number[]): ParsedTree {
  const entries = Object.entries(tree.positions);
  return {
    ...tree,
    positions: Object.fromEntries(
      entries.map(([id, offset]) => [id, starts.find((start) => start >= offset) ?? -1]),
    ),
  };
}

/** Reports whether the parser knows the syntax; if so, the library returns the same tree. */
function isUsual(source: string): boolean {
  const scanned = scan(source);
  if (!scanned.ok) return false;
  const own = parseUsualSyntax(scanned.text, scanned.tokens);
  if (own === undefined) return false;
  const starts = scanned.tokens.map(({ start }) => start);
  // The library counts characters, not UTF-16 units, for prefix operators.
  const isWide = /[^\0-\uffff]/u.test(source);
  const library = parseAnySyntax(scanned.text);
  const compared = [own, library].map((tree) =>
    normalized(isWide ? { ...tree, positions: {} } : tree, starts),
  );
  assert.deepEqual(compared[0], compared[1]);
  return true;
}

test('what the parser of the usual syntax accepts, the library parses to the same tree', () => {
  const seen = { usual: 0, unusual: 0 };
  fc.assert(
    fc.property(text, (source) => {
      seen[isUsual(source) ? 'usual' : 'unusual'] += 1;
    }),
    { numRuns: runs(20_000) },
  );
  assert.ok(seen.usual >= timesSeen(1_000), JSON.stringify(seen));
  assert.ok(seen.unusual >= timesSeen(2_000), JSON.stringify(seen));
});

test('random tokens', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...pieces), fc.constantFrom('', ' ')), { maxLength: 6 }),
      (all) => void isUsual(all.flat().join('')),
    ),
    { numRuns: runs(20_000) },
  );
});

test('the expressions of the ready-made set are of the usual syntax', () => {
  const directory = new URL('../../../../../examples/rules/', import.meta.url);
  const files = readdirSync(directory).filter((name) => name.endsWith('.toml'));
  const expressions = files.flatMap((name) =>
    [
      ...readFileSync(new URL(name, directory), 'utf8').matchAll(
        /^expression = (?:'''\n([^]*?)'''|'(.*)')$/gm,
      ),
    ].map(([, long, short]) => long ?? short ?? ''),
  );
  assert.ok(expressions.length > 10);
  assert.deepEqual(
    expressions.filter((each) => !isUsual(each)),
    [],
  );
});

test('nothing of the usual syntax makes a chain of choices as deep as it is long', () => {
  const chain = `${'a ? b : '.repeat(2_000)}c`;
  const scanned = scan(chain);
  assert.ok(scanned.ok);
  assert.equal(parseUsualSyntax(scanned.text, scanned.tokens), undefined);
});
