import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, Reaper } from '@kata-agent/linux';
import type { OciProcess } from '../request/oci-spec.js';
import { askFeatures, create, exec, pause, remove, resume, start, update } from './command-lines.js';
import { knownRuntime } from './known-runtimes.js';
import { OciRuntime, runtimeError } from './oci-runtime.js';
import { sealDescriptors } from './seal-descriptors.js';

const directory = mkdtempSync(join(tmpdir(), 'guest-runtime-'));
const program = join(directory, 'runc');
sealDescriptors(loadSyscalls());
const reaper = new Reaper(loadSyscalls(), {
  onFault: (error) => {
    throw error;
  },
});
const calls = join(directory, 'calls');
after(() => {
  reaper.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(() => rmSync(calls, { force: true }));

/** A fake runtime that records its command line and then runs the script. */
function fake(script: string): OciRuntime {
  writeFileSync(program, `#!/bin/sh\necho "$@" >> ${calls}\n${script}\n`, { mode: 0o755 });
  return new OciRuntime(program, join(directory, 'state'), reaper);
}

const called = (): readonly string[] => readFileSync(calls, 'utf8').trim().split('\n');
const state = join(directory, 'state');
const writePid = 'while [ $# -gt 0 ]; do [ "$1" = --pid-file ] && printf 4711 > "$2"; shift; done';
const ownStdio = [0, 1, 2] as const;

test('create passes bundle, pid file and log, returns the pid and leaves no file', async () => {
  assert.equal(await create(fake(writePid), { id: 'c1', bundle: '/b/c1', isScope: false }, ownStdio), 4711);
  const [line = ''] = called();
  assert.match(
    line,
    new RegExp(
      `^--root ${state}/runc --log \\S+ --log-format json create --bundle /b/c1 --pid-file \\S+ c1$`,
    ),
  );
  assert.deepEqual(readdirSync(join(state, 'run')), []);
});

test('a killed create leaves no file, also not the one that runc renames to the pid file', async () => {
  const pending = `${directory}/pending`;
  const hang = `while [ $# -gt 0 ]; do [ "$1" = --pid-file ] && pid=$2; shift; done
    : > "\${pid%/*}/.\${pid##*/}"; : > ${pending}; exec sleep 1000`;
  const caller = new AbortController();
  const creating = create(fake(hang), { id: 'c1', bundle: '/b', isScope: false }, ownStdio, caller.signal);
  while (!existsSync(pending)) await setImmediate();
  caller.abort(new Error('cancelled'));
  await assert.rejects(creating, { message: 'cancelled' });
  assert.deepEqual(readdirSync(join(state, 'run')), []);
});

test('create asks systemd for the cgroup of a scope', async () => {
  await create(fake(writePid), { id: 'c1', bundle: '/b/c1', isScope: true }, ownStdio);
  assert.match(called()[0] ?? '', / --systemd-cgroup --log \S+ --log-format json create --bundle \/b\/c1 /);
});

test('create with a terminal passes the console socket and no descriptor', async () => {
  const runtime = fake(`ls -l /proc/self/fd > ${directory}/fds; ${writePid}`);
  await create(runtime, { id: 'c1', bundle: '/b/c1', isScope: false }, { consoleSocket: '/s' });
  assert.match(called()[0] ?? '', /--console-socket \/s c1$/);
  const links = readFileSync(join(directory, 'fds'), 'utf8');
  assert.doesNotMatch(links, / [4-9] -> | 1\d -> /);
  assert.match(links, / 0 -> \/dev\/null/);
});

test('only descriptors 0 to 2 and PATH reach the runtime', async () => {
  const open = openSync('/dev/null', 'r');
  const runtime = fake(`ls /proc/self/fd > ${directory}/fds; env > ${directory}/env; ${writePid}`);
  await create(runtime, { id: 'c1', bundle: '/b', isScope: false }, [open, open, open]);
  // The shell and ls themselves open stdin to stderr and the directory only.
  assert.deepEqual(readFileSync(join(directory, 'fds'), 'utf8').split('\n').filter(Boolean), [
    '0',
    '1',
    '2',
    '3',
  ]);
  const names = readFileSync(join(directory, 'env'), 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0]);
  assert.ok(!names.includes('HOME') && names.includes('PATH'));
});

test('the error of a failed create has the message that the runtime logged', async () => {
  const log = `while [ $# -gt 0 ]; do [ "$1" = --log ] && echo '{"level":"error","msg":"container with id exists: c1"}' > "$2"; shift; done; exit 1`;
  await assert.rejects(create(fake(log), { id: 'c1', bundle: '/b', isScope: false }, ownStdio), {
    kind: 'exists',
    message: /container with id exists/,
  });
  assert.deepEqual(readdirSync(join(state, 'run')), []);
});

test('exec gets the process as a file', async () => {
  const process: OciProcess = {
    user: { uid: 1, gid: 2 },
    args: ['id'],
    cwd: '/',
    rlimits: [{ type: 'RLIMIT_NOFILE', hard: 2n ** 64n - 1n, soft: 1 }],
  };
  const copy = `while [ $# -gt 0 ]; do [ "$1" = --process ] && cp "$2" ${directory}/process; [ "$1" = --pid-file ] && printf 12 > "$2"; shift; done`;
  assert.equal(await exec(fake(copy), 'c1', process, ownStdio), 12);
  assert.match(called()[0] ?? '', / exec --detach --process \S+ --pid-file \S+ c1$/);
  assert.match(readFileSync(join(directory, 'process'), 'utf8'), /"hard":18446744073709551615/);
  assert.deepEqual(readdirSync(join(state, 'run')), []);
});

test('a program that is called crun has a state directory of its own, and its name is in errors', async () => {
  const crun = join(directory, 'crun');
  writeFileSync(crun, '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
  assert.match(await new OciRuntime(crun, state, reaper).run(['list']), new RegExp(`^--root ${state}/crun `));
  const entry = JSON.stringify({ msg: 'the container `c` is paused', level: 'error' });
  writeFileSync(crun, `#!/bin/sh\necho '${entry}' >&2; exit 1\n`);
  await assert.rejects(start(new OciRuntime(crun, state, reaper), 'c'), {
    kind: 'precondition',
    message: 'crun start: the container `c` is paused',
  });
});

test('crun without `features` has them in its version', async () => {
  const crun = join(directory, 'crun');
  const script = 'case "$*" in *features) exit 1;; esac; echo "crun version 1.8.1"; echo "+CAP +SECCOMP"';
  writeFileSync(crun, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const { version, seccomp } = await askFeatures(new OciRuntime(crun, state, reaper));
  assert.deepEqual([version, seccomp], ['1.8.1', true]);
  await assert.rejects(askFeatures(fake('exit 1')));
});

test('the command lines of the other commands', async () => {
  const copy = `for word; do [ "$previous" = --resources ] && cp "$word" ${directory}/resources; previous=$word; done`;
  const runtime = fake(`${copy}; true`);
  await start(runtime, 'c');
  await pause(runtime, 'c');
  await resume(runtime, 'c');
  await remove(runtime, 'c');
  await update(runtime, 'c', { memory: { limit: 5n } });
  assert.deepEqual(
    called().map((line) =>
      line
        .replace(/^.* json /, '')
        .replace(`${state}/run/`, '')
        .replace(/resources-\d+/, 'resources-N'),
    ),
    ['start c', 'pause c', 'resume c', 'delete --force c', 'update --resources resources-N c'],
  );
  assert.equal(readFileSync(join(directory, 'resources'), 'utf8'), '{"memory":{"limit":5}}');
  assert.deepEqual(readdirSync(join(state, 'run')), []);
});

test('a failure of another command has the text of stderr', async () => {
  const runtime = fake(
    `echo '{"level":"error","msg":"cannot start a container that has stopped"}' >&2; exit 1`,
  );
  await assert.rejects(start(runtime, 'c'), { kind: 'precondition', message: /has stopped/ });
});

test('a command that hangs is killed with its fork that became a child of the agent, as crun’s', async () => {
  const fifo = join(directory, 'fifo');
  const pidFile = join(directory, 'pid');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  const orphan = `( sh -c 'echo $PPID' > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; read line < ${fifo} ) &`;
  const runtime = fake(`( ${orphan} ); read line < ${fifo}`);
  const caller = new AbortController();
  const failed = assert.rejects(
    create(runtime, { id: 'c', bundle: '/b', isScope: false }, ownStdio, caller.signal),
    {
      message: 'no longer',
    },
  );
  while (!existsSync(pidFile)) await delay(10);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  caller.abort(new Error('no longer'));
  await failed;
  // Lets a process that was not killed end with 0.
  const descriptor = openSync(fifo, 'r+');
  writeSync(descriptor, '\n');
  assert.deepEqual(await reaper.watch(pid), { code: 137, signal: 9 });
  closeSync(descriptor);
});

test('a missing runtime and one that cannot be run are errors', async () => {
  const none = new OciRuntime(undefined, state, reaper);
  await assert.rejects(start(none, 'c'), { kind: 'precondition', message: /apt-get install runc/ });
  const broken = new OciRuntime('/nonexistent/runc', state, reaper);
  await assert.rejects(start(broken, 'c'), { kind: 'precondition', message: /cannot be run/ });
});

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
