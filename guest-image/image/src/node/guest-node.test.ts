import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { compareResults, withSmallIcu } from './guest-node.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-node-'));
after(() => rmSync(directory, { recursive: true }));

it('a reduced Node.js that prints other results, or crashes, is rejected', () => {
  const script = (...lines: readonly string[]): Buffer => Buffer.from(['#!/bin/sh', ...lines, ''].join('\n'));
  const results = ['echo {', 'echo Wednesday', 'echo }'];
  const complete = join(directory, 'complete');
  writeFileSync(complete, script(...results), { mode: 0o755 });
  const check = (...lines: readonly string[]): void =>
    compareResults(complete, script(...lines), join(directory, 'small'));
  check(...results);
  assert.throws(
    () => check('echo {', 'echo Mittwoch', 'echo }'),
    /reduced Node\.js prints Mittwoch, the complete one Wednesday/,
  );
  assert.throws(() => check('exit 0'), /prints , the complete one \{/);
  assert.throws(() => check(...results, 'echo more'), /prints/);
  assert.throws(() => check('kill -SEGV $$'), /small/);
});

it('a program without built-in ICU is not reduced, with the reason', () => {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01', 'latin1');
  assert.match(String(withSmallIcu(header)), /no symbol .*icudt/);
});
