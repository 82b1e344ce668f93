import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownRuntime } from './known-runtimes.js';
import { runtimeError } from './runtime-error.js';

const runc = knownRuntime('/usr/sbin/runc');
const crun = knownRuntime('/usr/bin/crun');

const logged = (msg: string): string =>
  `{"level":"info","msg":"x"}\n${JSON.stringify({ level: 'error', msg, time: 't' })}\n`;

test('the runtime’s message is kept and determines the kind', () => {
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
    const error = runtimeError(runc, 'exec', logged(msg), 'exit status 1');
    assert.equal(error.kind, kind, msg);
    assert.ok(error.message.includes(msg));
  }
});

test('a memory limit below what the runtime needs is named, with help', () => {
  for (const [runtime, msg] of [
    [
      runc,
      'error setting cgroup config for procHooks process: unable to set memory limit to 1048576 (current usage: 10534912, peak usage: 10858496)',
    ],
    [runc, 'container init was OOM-killed (memory limit too low?)'],
    [crun, 'the memory limit could be too low: read from the init process'],
  ] as const) {
    const error = runtimeError(runtime, 'create', logged(msg), 'exit status 1');
    assert.equal(error.kind, 'precondition', msg);
    assert.match(error.message, /memory limit.*; help: raise the memory limit of the container/);
  }
});

test('crun’s message determines the kind too, whatever the program is called', () => {
  const cases = [
    ['executable file `x` not found in $PATH: No such file or directory', 'invalid'],
    ['the path `/proc` is not a regular file: Operation not permitted', 'invalid'],
    ['the path `/etc/passwd` exists but it is not executable: Operation not permitted', 'invalid'],
    ['container `c1` already exists', 'exists'],
    ['the container `c1` is paused', 'precondition'],
    ['the container `c1` is not running', 'precondition'],
    ['the container `c1` is not in `created` or `stopped` state', 'precondition'],
    ['cannot open `/run/kata-agent/crun/c1/exec.fifo`: No such file or directory', 'precondition'],
    ['error opening file `/run/kata-agent/crun/c1/status`: No such file or directory', 'not-found'],
    ['chdir to `/x`: No such file or directory', 'internal'],
  ] as const;
  for (const [msg, kind] of cases)
    for (const runtime of [crun, runc])
      assert.equal(runtimeError(runtime, 'exec', logged(msg), 'exit status 1').kind, kind, msg);
  assert.match(runtimeError(crun, 'exec', logged('x'), '').message, /^crun exec: x$/);
});

test('a process that has ended is reported in the words that Kata’s clients expect', () => {
  assert.match(
    runtimeError(runc, 'kill', logged('os: process already finished'), '').message,
    /^ESRCH: No such process/,
  );
});

test('a program that does not exist is reported in the words of Kata’s agent', () => {
  const inCrun = 'executable file `/bin/y` not found: No such file or directory';
  assert.match(
    runtimeError(crun, 'create', logged(inCrun), '').message,
    /^the file \/bin\/y was not found: crun create: /,
  );
  for (const [msg, program] of [
    ['unable to start container process: exec: "sleep": executable file not found in $PATH', 'sleep'],
    ['exec: "/bin/x": stat /bin/x: no such file or directory', '/bin/x'],
  ] as const)
    assert.match(
      runtimeError(runc, 'create', logged(msg), 'exit status 1').message,
      new RegExp(`^the file ${program} was not found: runc create: `),
    );
});

test('plain text, incomplete JSON and empty output have a message', () => {
  assert.match(runtimeError(runc, 'start', 'a\nlast words\n', 'exit status 1').message, /last words/);
  assert.match(runtimeError(runc, 'start', '{"level":"error","msg":"hal', 'exit status 1').message, /hal/);
  assert.match(runtimeError(runc, 'start', '', 'ended by SIGKILL').message, /ended by SIGKILL/);
});
