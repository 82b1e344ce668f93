import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import {
  type ExitStatus,
  loadSyscalls,
  type ProgramStart,
  Reaper,
  RecordingSyscalls,
  SyscallError,
} from '../index.js';
import { childProcesses } from './reaper.js';

const directory = mkdtempSync(join(tmpdir(), 'reaper-'));
const faults: unknown[] = [];
const reaper = new Reaper(loadSyscalls(), { onFault: (error) => faults.push(error) });
// Waiting for SIGCHLD does not keep the process alive.
const keepAlive = setInterval(() => undefined, 60_000);
after(() => {
  reaper.stop();
  clearInterval(keepAlive);
  rmSync(directory, { recursive: true });
  assert.deepEqual(faults, []);
});

/**
 * Runs a script whose parent exits at once, like an OCI runtime, and never waits for it (unlike a shell with a
 * background job). Returns the orphan's pid.
 */
async function orphan(script: string): Promise<number> {
  const { stdout } = await promisify(execFile)('setsid', [
    '-f',
    'sh',
    '-c',
    `echo $$; exec >/dev/null 2>&1; ${script}`,
  ]);
  return Number(stdout);
}

function isZombie(pid: number): boolean {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
}

test('an orphan’s exit code is reported', async () => {
  assert.deepEqual(await reaper.watch(await orphan('sleep 0.1; exit 7')), { code: 7 });
});

test('an orphan’s signal is reported', async () => {
  const pid = await orphan('exec sleep 60');
  const exit = reaper.watch(pid);
  loadSyscalls().kill(pid, 15);
  assert.deepEqual(await exit, { code: 143, signal: 15 });
});

test('two watchers of one process both get its exit, which is then dropped', async () => {
  const pid = await orphan('sleep 0.1; exit 4');
  assert.deepEqual(await Promise.all([reaper.watch(pid), reaper.watch(pid)]), [{ code: 4 }, { code: 4 }]);
  await assert.rejects(reaper.watch(pid), new RegExp(`process ${pid} is not a child`));
});

test('an exit before the first watch is kept', async () => {
  const pid = await orphan('exit 9');
  while (existsSync(`/proc/${pid}`)) await once(process, 'SIGCHLD');
  assert.deepEqual(await reaper.watch(pid), { code: 9 });
});

test('an exit that no sweep has seen is found by watch', async () => {
  const pid = await orphan('exec sleep 60');
  // It ends during this loop, which never lets SIGCHLD's handler run: it stays a zombie until watch is called.
  loadSyscalls().kill(pid, 15);
  while (!isZombie(pid));
  assert.deepEqual(await reaper.watch(pid), { code: 143, signal: 15 });
});

test('Node’s own children, other processes and invalid pids are rejected', async () => {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  await assert.rejects(reaper.watch(child.pid ?? 0), /Node.js waits for/);
  child.stdin.end();
  await once(child, 'exit');
  await assert.rejects(reaper.watch(process.ppid), /not a child of this process/);
  for (const pid of [-1, 0, 1, 1.5, Number.NaN])
    await assert.rejects(reaper.watch(pid), RangeError, String(pid));
});

test('hundreds of Node’s children and orphans that end together each get their exit', async () => {
  const amount = 300;
  const own = Array.from({ length: amount }, async (_, index) => {
    const child = spawn('sh', ['-c', `exit ${index % 200}`], { stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number];
    return code;
  });
  const orphans = Array.from(
    { length: amount },
    async (_, index): Promise<ExitStatus> =>
      // Half of them are watched early, half late or after they ended.
      reaper.watch(await orphan(index % 2 === 0 ? `exit ${index % 200}` : `sleep 0.05; exit ${index % 200}`)),
  );
  const expected = Array.from({ length: amount }, (_, index) => index % 200);
  assert.deepEqual(await Promise.all(own), expected);
  assert.deepEqual(
    (await Promise.all(orphans)).map((exit) => exit.code),
    expected,
  );
});

test('unwatched orphans are reaped too', async () => {
  const pid = await orphan('sleep 0.1');
  while (existsSync(`/proc/${pid}`)) await once(process, 'SIGCHLD');
});

test('a program that cannot be started leaves nothing behind', async () => {
  const [error] = (await once(spawn('/nonexistent/program'), 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ENOENT');
  reaper.sweep();
});

test('a started program gets these words, this environment and directory, and its exit is reported', async () => {
  const output = openSync(join(directory, 'output'), 'w+');
  const { exit, isOver } = reaper.start({
    program: '/bin/sh',
    arguments: [
      '-c',
      'echo "$0|$1|$(pwd)|$(env | sort | tr "\\n" " ")"; readlink /proc/self/fd/0; exit 3',
      'a b',
      'ü',
    ],
    environment: { A: '1', B: 'x y' },
    directory: '/usr',
    stdio: [undefined, output, undefined],
  });
  assert.equal(isOver(), false);
  assert.deepEqual(await exit, { code: 3 });
  assert.equal(isOver(), true);
  assert.match(
    readFileSync(join(directory, 'output'), 'utf8'),
    /^a b\|ü\|\/usr\|A=1 B=x y PWD=\/usr .*\n\/dev\/null\n$/,
  );
  closeSync(output);
});

test('a started program has no signal that is blocked or ignored, and no other descriptor', async () => {
  const output = openSync(join(directory, 'output'), 'w+');
  // SIGPIPE is ignored in each Node.js process.
  const { exit } = reaper.start({
    program: '/bin/cat',
    arguments: ['/proc/self/status'],
    environment: {},
    directory: '/',
    stdio: [undefined, output, undefined],
  });
  assert.deepEqual(await exit, { code: 0 });
  const status = readFileSync(join(directory, 'output'), 'utf8');
  assert.match(status, /^SigBlk:\t0+$/m);
  assert.match(status, /^SigIgn:\t0+$/m);
  closeSync(output);
});

test('a program that cannot be executed is an error with its path, and leaves nothing behind', () => {
  const start = {
    arguments: [],
    environment: {},
    directory: '/',
    stdio: [undefined, undefined, undefined],
  } as const;
  assert.throws(() => reaper.start({ program: '/nonexistent/program', ...start }), {
    code: 'ENOENT',
    message: /"\/nonexistent\/program"/,
  });
  assert.throws(() => reaper.start({ program: '/bin/sh', ...start, directory: '/nonexistent' }), {
    code: 'ENOENT',
  });
  assert.throws(() => reaper.start({ program: '/bin/sh\0', ...start }), { code: 'EINVAL' });
});

function script(code: number): ProgramStart {
  return {
    program: '/bin/sh',
    arguments: ['-c', `exit ${code}`],
    environment: {},
    directory: '/',
    stdio: [undefined, undefined, undefined],
  };
}

test('a child of Node.js that has ended, and that it has not waited for, hides no other', async () => {
  const child = spawn('sh', ['-c', 'exit 3'], { stdio: 'ignore' });
  const started = reaper.start(script(4));
  // Both end during this loop, in which Node.js waits for none.
  while (!isZombie(child.pid ?? 0) || !isZombie(started.pid));
  reaper.sweep();
  assert.deepEqual(await started.exit, { code: 4 });
  assert.deepEqual((await once(child, 'exit'))[0], 3);
});

test('a reaper leaves the programs of another one to it', async () => {
  const other = new Reaper(loadSyscalls(), { onFault: (error) => faults.push(error) });
  const started = Array.from({ length: 40 }, (_, index) =>
    (index % 2 === 0 ? reaper : other).start(script(index)),
  );
  const exits = await Promise.all(started.map(({ exit }) => exit));
  assert.deepEqual(
    exits.map(({ code }) => code),
    started.map((_, index) => index),
  );
  other.stop();
  assert.throws(() => other.start(script(0)), /the reaper is stopped: \/bin\/sh is not started/);
});

test('the number of kept exits is bounded, and the newest are kept', async (context) => {
  const { small, fake } = withEnded(context, [501, 502, 503]);
  fake.script('waitpid', (pid) => ({ pid, status: (pid - 500) << 8 }));
  small.sweep();
  fake.fail('waitpid', 'ECHILD');
  await assert.rejects(small.watch(501), /not a child of this process/);
  assert.deepEqual(await small.watch(502), { code: 2 });
  assert.deepEqual(await small.watch(503), { code: 3 });
  await assert.rejects(small.watch(503), /not a child of this process/);
});

test('a running process never gets the exit of an earlier one with its pid', async (context) => {
  const { small, fake } = withEnded(context, [501]);
  fake.script('waitpid', (pid) => ({ pid, status: 1 << 8 }));
  small.sweep();
  fake.script('waitpid', () => undefined);
  const exit = small.watch(501);
  fake.script('waitpid', (pid) => ({ pid, status: 2 << 8 }));
  let ended: number | undefined = 501;
  fake.script('endedChild', () => {
    const pid = ended;
    ended = undefined;
    return pid;
  });
  small.sweep();
  assert.deepEqual(await exit, { code: 2 });
});

test('without a list of children, watched pids are still waited for', async (context) => {
  const fake = new RecordingSyscalls();
  const failures: unknown[] = [];
  const blind = new Reaper(fake, { proc: '/nonexistent', onFault: (error) => failures.push(error) });
  hideBehindNode(context, fake);
  const exit = blind.watch(501);
  fake.script('waitpid', (pid) => ({ pid, status: 0 }));
  blind.sweep();
  blind.stop();
  assert.deepEqual(await exit, { code: 0 });
  assert.equal(failures.length, 1);
});

test('other errors of waitpid reach the watcher', async () => {
  const fake = new RecordingSyscalls();
  fake.fail('waitpid', 'EINVAL');
  const refused = new Reaper(fake, { proc: '/nonexistent', onFault: () => undefined });
  await assert.rejects(refused.watch(501), { code: 'EINVAL' });
  refused.stop();
});

/** A reaper that keeps two exits, of whose children these have ended. */
function withEnded(context: TestContext, ended: number[]): { small: Reaper; fake: RecordingSyscalls } {
  const fake = new RecordingSyscalls();
  fake.script('endedChild', () => ended.shift());
  const small = new Reaper(fake, { keep: 2, onFault: (error) => faults.push(error) });
  context.after(() => small.stop());
  return { small, fake };
}

/** Makes a child of Node.js hide the children of this reaper, so that each is looked at. */
function hideBehindNode(context: TestContext, fake: RecordingSyscalls): void {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  context.after(() => child.kill());
  fake.script('endedChild', () => child.pid);
}

test('an exit taken by other code is an error for its watcher', async (context) => {
  const fake = new RecordingSyscalls();
  const failures: unknown[] = [];
  const robbed = new Reaper(fake, { onFault: (error) => failures.push(error) });
  hideBehindNode(context, fake);
  fake.script('waitpid', () => undefined);
  const exit = robbed.watch(4_000_000);
  fake.script('waitpid', (pid) => {
    if (pid === 4_000_000) throw SyscallError.named('waitpid', 'ECHILD');
    return undefined;
  });
  robbed.sweep();
  await assert.rejects(exit, /the exit of process 4000000 is lost/);
  assert.equal(failures.length, 1);
  robbed.stop();
});

test('stopping rejects current and later watches', async () => {
  const stopped = new Reaper(new RecordingSyscalls(), { onFault: (error) => faults.push(error) });
  const exit = stopped.watch(4_000_001);
  stopped.stop();
  stopped.stop();
  await assert.rejects(exit, /reaper is stopped/);
  await assert.rejects(stopped.watch(4_000_001), /reaper is stopped/);
});

test('children are collected from every thread’s list', (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'children-'));
  context.after(() => rmSync(proc, { recursive: true }));
  for (const [task, children] of [
    ['70', '81 82 '],
    ['71', ''],
    ['72', '90 '],
  ] as const) {
    mkdirSync(join(proc, '70', 'task', task), { recursive: true });
    writeFileSync(join(proc, '70', 'task', task, 'children'), children);
  }
  // A thread that ended between listing and reading.
  mkdirSync(join(proc, '70', 'task', '73'));
  assert.deepEqual(new Set(childProcesses(proc, 70)), new Set([81, 82, 90]));
});

test('without such lists the parents in stat are used, whatever the command name', (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'children-'));
  context.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, '70', 'task', '70'), { recursive: true });
  for (const [pid, stat] of [
    ['70', '70 (node) S 1 70'],
    ['81', '81 (a) b) (c) Z 70 70'],
    ['82', '82 (sh) S 81 70'],
    ['83', '83 (70 S 70) R 5 70'],
  ] as const) {
    mkdirSync(join(proc, pid), { recursive: true });
    writeFileSync(join(proc, pid, 'stat'), `${stat} 0 0\n`);
  }
  mkdirSync(join(proc, '84')); // ended before its stat was read
  mkdirSync(join(proc, 'sys'));
  assert.deepEqual(childProcesses(proc, 70), [81]);
});

test('a missing /proc is an error, not an empty list', () => {
  assert.throws(() => childProcesses('/nonexistent', 70), { code: 'ENOENT' });
});
