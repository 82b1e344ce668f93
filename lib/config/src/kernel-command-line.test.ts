import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKernelCommandLine } from './kernel-command-line.js';

function words(text: string): readonly string[] {
  return parseKernelCommandLine(text).words.map(({ name, value }) =>
    value === undefined ? name : `${name}→${value}`,
  );
}

test('splits, unquotes and ends words like the kernel', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['', []],
    ['\n', []],
    ['quiet agent.log=debug\n', ['quiet', 'agent.log→debug']],
    ['  a\tb  ', ['a', 'b']],
    ['a="b c" d', ['a→b c', 'd']],
    ['"a=b c" d', ['a→b c', 'd']],
    ['"a b" c', ['a b', 'c']],
    ['a=b" c"d e', ['a→b" c"d', 'e']],
    ['a="b', ['a→b']],
    ['"a', ['a']],
    ['a==b=c', ['a→=b=c']],
    ['=b', ['=b']],
    ['a=', ['a→']],
    ['a="" b', ['a→', 'b']],
    ['a -- b', ['a']],
    ['a "--" b', ['a']],
    ['a --b --=c d', ['a', '--b', '--→c', 'd']],
    ['--', []],
  ];
  for (const [text, expected] of cases) assert.deepEqual(words(text), expected, text);
});

test('a word has its position', () => {
  const { words, source } = parseKernelCommandLine('ü agent.log=x\n');
  assert.deepEqual(words[1]?.span, { file: '/proc/cmdline', line: 1, column: 3, endColumn: 14 });
  assert.equal(source.line(1), 'ü agent.log=x');
});
