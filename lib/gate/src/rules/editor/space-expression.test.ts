import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spaceExpression } from './space-expression.js';

function spaced(expression: string): string {
  return spaceExpression(expression).reduceRight(
    (text, { start, end, text: gap }) => text.slice(0, start) + gap + text.slice(end),
    expression,
  );
}

const cases: readonly (readonly [string, string])[] = [
  ['a==b&&!c', 'a == b && !c'],
  ['args [0]  in[ "a","b" ]||! ( x )', 'args[0] in ["a", "b"] || !(x)'],
  ['a ? b:c', 'a ? b : c'],
  ['f( {"a" :1 , "b":x?1:2} ) == - 1-2', 'f({"a": 1, "b": x ? 1 : 2}) == -1 - 2'],
  ['a . b().c (d)[ 0 ]', 'a.b().c(d)[0]'],
  ['a  // x==y\n  &&b   // z', 'a  // x==y\n  && b   // z'],
  ['"a==b"+r\'c&&d\'', '"a==b" + r\'c&&d\''],
  // Not parsed, so not changed.
  ['a==', 'a=='],
  ['(a==b', '(a==b'],
];

for (const [before, after] of cases)
  test(before, () => {
    assert.equal(spaced(before), after);
    assert.equal(spaced(after), after);
  });
