import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import type { OciProcess } from '../oci-spec.js';
import { create, exec, pause, remove, resume, start, update } from './commands.js';
import { Runtime } from './runtime.js';
import { sealDescriptors } from './seal-descriptors.js';

const directory = mkdtempSync(join(tmpdir(), 'guest-runtime-'));
const program = join(directory, 'runc');
sealDescriptors(loadSyscalls());
const calls = join(directory, 'calls');
after(() => rmSync(directory, { recursive: true }));
beforeEach(() => rmSync(calls, { force: true }));

/** A runtime that notes its command line and then does as the script says. */
function fake(script: string): Runtime {
  writeFileSync(program, `#!/bin/sh\necho "$@" >> ${calls}\n${script}\n`, { mode: 0o755 });
  return new Runtime(program, join(directory, 'state'));
}

const called = (): readonly string[] => readFileSync(calls, 'utf8').trim().split('\n');
const state = join(directory, 'state');
const writePid = 'while [ $# -gt 0 ]; do [ "$1" = --pid-file ] && printf 4711 > "$2"; shift; done';
const ownStdio = [0, 1, 2] as const;

test('create: bundle, pid file, log; the pid comes back, and no file stays', async () => {
  assert.equal(await create(fake(writePid), 'c1', '/b/c1', ownStdio), 4711);
  const [line = ''] = called();
  assert.match(
    line,
    new RegExp(
      `^--root ${state}/runc --log \\S+ --log-format json create --bundle /b/c1 --pid-file \\S+ c1$`,
    ),
  );
  assert.deepEqual(readdirSync(join(state, 'run')), []);
});

test('create with a terminal names the console socket and hands on no descriptor', async () => {
  const runtime = fake(`ls -l /proc/self/fd > ${directory}/fds; ${writePid}`);
  await create(runtime, 'c1', '/b/c1', { consoleSocket: '/s' });
  assert.match(called()[0] ?? '', /--console-socket \/s c1$/);
  const links = readFileSync(join(directory, 'fds'), 'utf8');
  assert.doesNotMatch(links, / [4-9] -> | 1\d -> /);
  assert.match(links, / 0 -> \/dev\/null/);
});

test('only descriptors 0 to 2 and PATH reach the runtime', async () => {
  const open = openSync('/dev/null', 'r');
  const runtime = fake(`ls /proc/self/fd > ${directory}/fds; env > ${directory}/env; ${writePid}`);
  await create(runtime, 'c1', '/b', [open, open, open]);
  // What the shell and ls have open themselves is stdin to stderr and the directory.
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

test('a failed create says what the runtime logged', async () => {
  const log = `while [ $# -gt 0 ]; do [ "$1" = --log ] && echo '{"level":"error","msg":"container with id exists: c1"}' > "$2"; shift; done; exit 1`;
  await assert.rejects(create(fake(log), 'c1', '/b', ownStdio), {
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

test('the other commands', async () => {
  const runtime = fake(`cat > ${directory}/stdin`);
  await start(runtime, 'c');
  await pause(runtime, 'c');
  await resume(runtime, 'c');
  await remove(runtime, 'c');
  await update(runtime, 'c', { memory: { limit: 5n } });
  assert.deepEqual(
    called().map((line) => line.replace(/^.* json /, '')),
    ['start c', 'pause c', 'resume c', 'delete --force c', 'update --resources - c'],
  );
  assert.equal(readFileSync(join(directory, 'stdin'), 'utf8'), '{"memory":{"limit":5}}');
});

test('a failure of another command says what stood on stderr', async () => {
  const runtime = fake(
    `echo '{"level":"error","msg":"cannot start a container that has stopped"}' >&2; exit 1`,
  );
  await assert.rejects(start(runtime, 'c'), { kind: 'precondition', message: /has stopped/ });
});

test('without a runtime, or with one that cannot be run, the remedy is said', async () => {
  const none = new Runtime(undefined, state);
  await assert.rejects(start(none, 'c'), { kind: 'precondition', message: /apt-get install runc/ });
  const broken = new Runtime('/nonexistent/runc', state);
  await assert.rejects(start(broken, 'c'), { kind: 'precondition', message: /cannot be run/ });
});
