import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Script } from 'node:vm';
import { programFile, writeCodeCache } from './code-cache.js';
import type { Range } from './start-ranges.js';

const hot = `class Hot { run(a) { const inner = () => a.map((each) => ({ ...each, marker: 'of the hot one' })); return inner(); } }`;
const cold = hot.replaceAll('Hot', 'Cold').replace('hot', 'cold');
const program = `(function (require, programUrl) {\n${hot}\n${cold}\nconsole.log('{"ok":true}');\nreturn [Hot, Cold];\n})`;

/** Returns the code cache of the program with the functions of some lines compiled. */
function cacheOf(directory: string, ...lines: readonly number[]): Buffer {
  writeFileSync(join(directory, programFile), program);
  const ranges = lines.map(
    (line): Range => ({ from: { line, column: 0 }, to: { line: line + 1, column: 0 } }),
  );
  writeCodeCache(directory, ranges, process.execPath);
  return readFileSync(join(directory, 'program.cache'));
}

test('a code cache has the functions of its ranges, is the same each time, and V8 accepts it', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-cache-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const [none, first, both] = [cacheOf(directory), cacheOf(directory, 1), cacheOf(directory, 1, 2)];
  const has = (cache: Buffer, marker: string): boolean => cache.includes(marker, 0, 'latin1');
  // A function that is not compiled has its place in the source, and no constants.
  assert.deepEqual(
    [none, first, both].map((cache) =>
      ['of the hot one', 'of the cold one'].map((marker) => has(cache, marker)),
    ),
    [
      [false, false],
      [true, false],
      [true, true],
    ],
  );
  assert.ok(cacheOf(directory, 1).equals(first));
  assert.equal(new Script(program, { cachedData: first }).cachedDataRejected, false);
});
