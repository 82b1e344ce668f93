import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitted, foldedWithin } from './fit.js';

test('lines that fit are left as they are', () => {
  const text = `a  b\n${'x'.repeat(40)}\n\n  c\n`;
  assert.equal(fitted(text, 40), text);
});

test('the rest of a long line of a table begins below its last column', () => {
  assert.equal(
    fitted('  ExecProcess  runs a program in a container, as root', 30),
    ['  ExecProcess  runs a program', '               in a container,', '               as root'].join('\n'),
  );
});

test('a last column that leaves less than half of the terminal does not count', () => {
  assert.equal(
    fitted('a name that is quite long  what it is for', 30),
    ['a name that is quite', '  long  what it is for'].join('\n'),
  );
});

test('a long word stays whole, and colours have no width', () => {
  const digest = 'f'.repeat(64);
  assert.equal(fitted(`sha256  ${digest} of it`, 40), `sha256  ${digest}\n        of it`);
  assert.equal(fitted(`\u001b[1m${'x'.repeat(40)}\u001b[22m`, 40), `\u001b[1m${'x'.repeat(40)}\u001b[22m`);
});

test('a folded text has the same words', () => {
  for (let columns = 20; columns < 120; columns += 7) {
    const line = `  one  ${'two three '.repeat(20)} four`;
    assert.deepEqual(fitted(line, columns).split(/\s+/), line.split(/\s+/));
    for (const each of fitted(line, columns).split('\n')) assert.ok(each.length <= columns, each);
  }
});

test('a line with text of another party never has a part at the beginning of a line of the terminal', () => {
  for (const columns of [10, 40, 59, 80, 139])
    for (const hostile of [
      'x'.repeat(300),
      `${'x'.repeat(60)} ${'日本'.repeat(60)}`,
      `a ${'e\u0301'.repeat(90)}`,
    ])
      for (const [index, line] of foldedWithin(`     3 refusal  ${hostile}`, columns, 8)
        .split('\n')
        .entries()) {
        assert.ok(line.replaceAll(/[^ -~]/gu, '..').length <= Math.max(columns, 40));
        assert.ok(index === 0 || line.startsWith(' '.repeat(8)), line);
      }
  const coloured = foldedWithin(`\u001b[31m${'y'.repeat(100)}\u001b[39m`, 40, 8);
  assert.equal(coloured.replaceAll(/\u001b\[\d+m|[ \n]/g, ''), 'y'.repeat(100));
  assert.equal(coloured.match(/\u001b\[\d+m/g)?.length, 2);
});
