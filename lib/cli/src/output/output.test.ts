import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { Options } from '../command/options.js';
import { ExitCode } from '../command/command-error.js';
import { Collected, fakeIo } from '../testing/fake-io.js';
import { formatBytes, renderTable, styleFor, wrap } from './text.js';
import { print, write } from './print.js';

test('colour is for terminals without NO_COLOR', () => {
  const terminal = new Collected();
  terminal.isTTY = true;
  assert.equal(styleFor(terminal, {}).bold('x'), '\u001b[1mx\u001b[22m');
  assert.equal(styleFor(terminal, { NO_COLOR: '' }).enabled, true);
  assert.equal(styleFor(terminal, { NO_COLOR: '1' }).bold('x'), 'x');
  assert.equal(styleFor(terminal, { TERM: 'dumb' }).bold('x'), 'x');
  assert.equal(styleFor(new Collected(), {}).bold('x'), 'x');
});

class Broken extends Writable {
  readonly #code: string;

  constructor(code: string) {
    super();
    this.#code = code;
    this.on('error', () => undefined);
  }

  override _write(_chunk: Buffer, _encoding: string, done: (error: Error) => void): void {
    done(Object.assign(new Error(`${this.#code}: write`), { code: this.#code }));
  }
}

test('EPIPE keeps the exit code; a full disk is an error', async () => {
  const printed = (code: string): Promise<void> => {
    const io = { ...fakeIo(), stdout: new Broken(code) };
    return print({ io, operands: [], options: new Options({}) }, {}, () => 'text\n');
  };
  await printed('EPIPE');
  await assert.rejects(write(new Broken('EPIPE'), 'x'), { code: 'EPIPE' });
  await assert.rejects(printed('ENOSPC'), {
    exitCode: ExitCode.CannotApply,
    message: 'cannot write the output: no space left on device',
  });
});

test('columns are as wide as their widest cell, without trailing spaces', () => {
  assert.equal(
    renderTable([
      ['A', 'LONG'],
      ['wide', ''],
    ]),
    'A     LONG\nwide\n',
  );
});

test('paragraphs wrap at spaces; an overlong word has its own line', () => {
  assert.equal(wrap('one two three', 8, ' '), ' one two\n three\n');
  assert.equal(wrap('a unbreakable b', 4), 'a\nunbreakable\nb\n');
});

test('bytes are formatted for people', () => {
  assert.equal(formatBytes(0n), '0 B');
  assert.equal(formatBytes(1023n), '1023 B');
  assert.equal(formatBytes(1536n), '1.5 KiB');
  assert.equal(formatBytes(2n ** 63n), '8.0 EiB');
});
