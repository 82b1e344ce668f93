import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ComponentRecords, logLines, withoutEscapes } from './component-lines.js';

/** Returns the records of lines. */
function recordsOf(...lines: readonly string[]): readonly (readonly [string, string])[] {
  const written: (readonly [string, string])[] = [];
  const records = new ComponentRecords((level, text) => written.push([level, text]));
  for (const line of lines) records.add(line);
  records.flush();
  return written;
}

test('a line of tracing is at its own level, without escapes', () => {
  assert.deepEqual(
    recordsOf(
      '\x1b[2m2026-11-30T10:00:00.123456Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mttrpc_cdh\x1b[0m\x1b[2m:\x1b[0m listening',
      '2026-11-30T10:00:00.2Z  WARN ttrpc_cdh: slow',
      '2026-11-30T10:00:00.3Z ERROR ttrpc_cdh: refused',
      '2026-11-30T10:00:00.4Z DEBUG ttrpc_cdh: request',
      '[2026-11-30T10:00:00Z INFO  ttrpc_aa] Starting',
      'no time and no level',
    ),
    [
      ['info', 'ttrpc_cdh: listening'],
      ['warn', 'ttrpc_cdh: slow'],
      ['error', 'ttrpc_cdh: refused'],
      ['debug', 'ttrpc_cdh: request'],
      ['info', 'ttrpc_aa] Starting | no time and no level'],
    ],
  );
});

test('a banner is one record without its drawing, a chain of causes is one, and a fault is an error', () => {
  assert.deepEqual(
    recordsOf(
      '2026-11-30T10:00:00.1Z  INFO ttrpc_cdh: Welcome!',
      '',
      ' _____                 __  _      _               _    _',
      '/  __ \\               / _|(_)    | |             | |  (_)',
      '',
      'version: v0.10.0-1234567',
      'loglevel: info',
      '2026-11-30T10:00:00.2Z ERROR ttrpc_cdh: [ttRPC CDH] GetResource :',
      'Error: Get Resource failed',
      'Caused by:',
      '    0: kbs client failed',
      "thread 'main' (7) panicked at src/main.rs:1:2:",
      'explicit panic',
    ),
    [
      ['info', 'ttrpc_cdh: Welcome! | version: v0.10.0-1234567 | loglevel: info'],
      ['error', 'ttrpc_cdh: [ttRPC CDH] GetResource :'],
      ['error', 'Error: Get Resource failed | Caused by: | 0: kbs client failed'],
      ['error', "thread 'main' (7) panicked at src/main.rs:1:2: | explicit panic"],
    ],
  );
});

test('lines that continue a record without end are written, each', () => {
  const written: string[] = [];
  const records = new ComponentRecords((level, text) => written.push(`${level} ${text}`));
  records.add('2026-11-30T10:00:00.1Z  WARN x: begin');
  for (let number = 100; number < 2_000; number += 1) records.add(`line ${number}`);
  assert.ok(written.length > 0, 'it waits for the end');
  records.flush();
  assert.ok(written.every((text) => text.startsWith('warn ') && text.length < 4_200));
  assert.equal(written.join(' ').match(/line \d+/g)?.length, 1_900);
});

test('no escape and no control character is left', () => {
  const escapes = [
    '\x1b[1;31m',
    '\x1b]0;title\x07',
    '\x1b]8;;http://x\x1b\\',
    '\x1bM',
    '\x9b2J',
    '\x1b[?25l',
    '\x07',
    '\x00',
    '\r',
  ];
  for (const escape of escapes) assert.equal(withoutEscapes(`a${escape}b`), 'ab', JSON.stringify(escape));
});

test('a record is written when the stream is quiet or ends, and is bounded', async () => {
  const stream = new PassThrough();
  const written: string[] = [];
  logLines(stream, 'x', (level, message) => written.push(`${level} ${message}`));
  stream.write('2026-11-30T10:00:00.1Z  WARN x: one\n');
  while (written.length === 0) await delay(5);
  assert.deepEqual(written, ['warn x: one']);
  stream.write('2026-11-30T10:00:00.1Z  INFO x: two\n');
  for (let n = 0; n < 100; n += 1) stream.write(`${'long '.repeat(100)}\n`);
  stream.end();
  while (written.length === 1) await delay(5);
  assert.ok(written[1]?.startsWith('info x: two | long') && written[1].length < 4_200);
});
