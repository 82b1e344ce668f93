import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import { RE2JS } from '@bufbuild/re2';
import * as fc from 'fast-check';
import { wholePattern } from './patterns.js';

test('a pattern between ^ and $ is a whole match, unless it is uncertain', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['^a$', 'a'],
    ['^$', ''],
    ['^(a|b)$', '(a|b)'],
    ['^(?:a|b)*[|()]$', '(?:a|b)*[|()]'],
    ['^[]|]$', '[]|]'],
    ['^[^]|]$', '[^]|]'],
    ['^[[:alpha:]|]$', '[[:alpha:]|]'],
    ['^a\\|b$', 'a\\|b'],
    ['^a\\\\$', 'a\\\\'],
    ['^a|b$', undefined],
    ['^(a)|(b)$', undefined],
    ['^a\\$', undefined],
    ['^\\Qa$', undefined],
    ['(?m)^a$', undefined],
    ['^(?m)a$', undefined],
    ['^(?P<x>a)$', undefined],
    ['^[a$', undefined],
    ['^a)(b$', undefined],
    ['^(a$', undefined],
    ['^', undefined],
    ['$', undefined],
    ['a$', undefined],
    ['^a', undefined],
  ];
  for (const [source, expected] of cases) assert.equal(wholePattern(source), expected, source);
});

test('a whole match gives what the search gives', () => {
  const atom = fc.constantFrom(
    ...'ab|()[]^$.*+?\\n\n-'.split(''),
    '\\n',
    '\\$',
    '\\|',
    '(?:',
    '[^',
    '[:alpha:]',
    '{1,2}',
    '(a|b)',
    '\\b',
    '\\z',
  );
  const source = fc.array(atom, { maxLength: 8 }).map((parts) => `^${parts.join('')}$`);
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n', '|', '$', '\\'), maxLength: 5 }), {
    minLength: 4,
    maxLength: 8,
  });
  let compared = 0;
  fc.assert(
    fc.property(source, texts, (pattern, inputs) => {
      const whole = wholePattern(pattern);
      if (whole === undefined || !isPattern(pattern) || !isPattern(whole)) return;
      const [search, match] = [RE2JS.compile(pattern), RE2JS.compile(whole)];
      for (const input of inputs) {
        compared += 1;
        assert.equal(match.testExact(input), search.test(input), `${pattern} on ${JSON.stringify(input)}`);
      }
    }),
    { numRuns: runs(2_000) },
  );
  assert.ok(compared > timesSeen(100), String(compared));
});

function isPattern(source: string): boolean {
  try {
    RE2JS.compile(source);
    return true;
  } catch {
    return false;
  }
}
