import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { foreignExit, processStat } from './exit-status.js';
import { loadSyscalls } from '../syscalls/load-syscalls.js';
import { RecordingSyscalls } from '../syscalls/fake.js';

const syscalls = loadSyscalls();
// Only root can read the exit status of a zombie in /proc.
const skip = process.env['CI'] === 'true' || process.geteuid?.() === 0 ? false : 'needs root';

interface Family {
  readonly pid: number;
  readonly startTime: number;
  /** Lets the process exit. */
  readonly release: () => void;
  readonly end: () => Promise<void>;
}

/** Starts a process whose parent, a shell, either waits for it at once or never. */
async function family(command: string, parent: 'waits' | 'never waits'): Promise<Family> {
  const after = parent === 'waits' ? 'wait; exec sleep 1000' : 'exec sleep 1000';
  const script = `exec 3<&0; (read line <&3; ${command}) & echo $!; ${after}`;
  const shell = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line]: Buffer[] = await once(shell.stdout, 'data');
  const pid = Number(line);
  return {
    pid,
    startTime: processStat(pid)?.startTime ?? assert.fail('the process is not there'),
    release: () => void shell.stdin.write('\n'),
    end: async () => {
      shell.kill('SIGKILL');
      await once(shell, 'close');
    },
  };
}

for (const parent of ['waits', 'never waits'] as const) {
  test(`the exit of a process whose parent ${parent}`, { skip }, async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (const [command, expected] of [
      ['exit 42', { code: 42 }],
      ['kill -9 $(exec sh -c "echo \\$PPID")', { code: 137, signal: 9 }],
    ] as const) {
      const stranger = await family(command, parent);
      const exit = foreignExit(syscalls, stranger);
      stranger.release();
      assert.deepEqual(await keepingAwake(exit), expected);
      await stranger.end();
    }
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
}

test('without pidfd status and after the parent has waited, only the end is known', async () => {
  const silent = new RecordingSyscalls({ pidfdStatus: () => undefined }, loadSyscalls());
  const stranger = await family('exit 42', 'waits');
  const exit = foreignExit(silent, stranger);
  // Ended before its exit is queried: /proc shows a process with another start time.
  const other = foreignExit(silent, { ...stranger, startTime: stranger.startTime + 1 });
  assert.equal(await other, undefined);
  stranger.release();
  await keepingAwake(exit);
  assert.ok(silent.argumentsOf('pidfdStatus').length > 0);
  // It has ended, and its parent is about to wait for it.
  while (processStat(stranger.pid)?.startTime === stranger.startTime) await new Promise(setImmediate);
  await stranger.end();
  assert.equal(await foreignExit(syscalls, stranger), undefined);
});

/** Keeps Node.js alive, which the wait itself does not. */
async function keepingAwake<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 60_000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
