import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { repository } from '../harness/repository.js';

/** What the script exports; it is JavaScript. */
const { checkAnswers, withSmallIcu } = (await import(`${repository}scripts/image-node.mjs`)) as {
  readonly checkAnswers: (whole: string, small: Buffer, path: string) => void;
  readonly withSmallIcu: (node: Buffer) => Buffer | string;
};

const folder = mkdtempSync(join(tmpdir(), 'kata-node-'));
after(() => rmSync(folder, { recursive: true }));

it('a Node.js that was made smaller and answers otherwise, or not at all, is not put into an image', () => {
  const script = (...lines: readonly string[]): Buffer => Buffer.from(['#!/bin/sh', ...lines, ''].join('\n'));
  const answers = ['echo {', 'echo Wednesday', 'echo }'];
  const whole = join(folder, 'whole');
  writeFileSync(whole, script(...answers), { mode: 0o755 });
  const check = (...lines: readonly string[]): void =>
    checkAnswers(whole, script(...lines), join(folder, 'small'));
  check(...answers);
  assert.throws(() => check('echo {', 'echo Mittwoch', 'echo }'), /says Mittwoch where it said Wednesday/);
  assert.throws(() => check('exit 0'), /says .* where it said \{/);
  assert.throws(() => check(...answers, 'echo more'), /says/);
  assert.throws(() => check('kill -SEGV $$'), /small/);
});

it('a program without ICU of its own is left as it is, and why is said', () => {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01', 'latin1');
  assert.match(String(withSmallIcu(header)), /no symbol .*icudt/);
});
