import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeError } from './runtime-error.js';

const said = (msg: string): string =>
  `{"level":"info","msg":"x"}\n${JSON.stringify({ level: 'error', msg, time: 't' })}\n`;

test('the runtime’s words are kept and decide the kind', () => {
  const cases = [
    [
      'exec failed: unable to start container process: exec: "x": executable file not found in $PATH',
      'invalid',
    ],
    ['container with id exists: c1', 'exists'],
    ['cannot exec in a stopped container', 'precondition'],
    ['container not running', 'not-found'],
    ['something else', 'internal'],
  ] as const;
  for (const [msg, kind] of cases) {
    const error = runtimeError('exec', said(msg), 'exit status 1');
    assert.equal(error.kind, kind, msg);
    assert.ok(error.message.includes(msg));
  }
});

test('a process that is gone is said as Kata’s clients expect it', () => {
  assert.match(
    runtimeError('kill', said('os: process already finished'), '').message,
    /^ESRCH: No such process/,
  );
});

test('plain text, torn JSON and silence have a message too', () => {
  assert.match(runtimeError('start', 'a\nlast words\n', 'exit status 1').message, /last words/);
  assert.match(runtimeError('start', '{"level":"error","msg":"hal', 'exit status 1').message, /hal/);
  assert.match(runtimeError('start', '', 'ended by SIGKILL').message, /ended by SIGKILL/);
});
