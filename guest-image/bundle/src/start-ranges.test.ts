import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '@jridgewell/sourcemap-codec';
import { rangesOf } from './start-ranges.js';

test('the ranges of modules go from their first place to that of another module, or to the end', () => {
  const map = {
    sources: ['a.js', 'b.js', null],
    mappings: encode([
      [
        [0, 0, 0, 0],
        [5, 0, 0, 5],
        [9, 1, 0, 0],
      ],
      [],
      [
        [2, 0, 1, 0],
        [4, 2, 0, 0],
      ],
      [[1, 0, 2, 0]],
    ]),
  };
  const place = (line: number, column: number) => ({ line, column });
  const end = place(3, 8);
  assert.deepEqual(
    rangesOf(map, end, (source) => source === 'a.js'),
    [
      { from: place(0, 0), to: place(0, 9) },
      { from: place(2, 2), to: place(2, 4) },
      { from: place(3, 1), to: end },
    ],
  );
  assert.deepEqual(
    rangesOf(map, end, (source) => source === 'b.js'),
    [{ from: place(0, 9), to: place(2, 2) }],
  );
  assert.deepEqual(
    rangesOf(map, end, () => false),
    [],
  );
});
