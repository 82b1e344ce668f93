import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '@kata-agent/linux';
import { RealGuest, settled, skip } from '../testing/real-guest.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

/** The number of processes with this command line. */
function running(...args: readonly string[]): number {
  const line = `${args.join('\0')}\0`;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => commandLine(pid) === line).length;
}

/** Undefined: it has ended. */
function commandLine(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

test('of a container that has exited, no process is left in the pid namespace of the pod', {
  skip,
}, async () => {
  await real.run(['sleep', '1000']);
  const left = ['sleep', '98765'];
  const id = await real.run(['sh', '-c', `${left.join(' ')} & echo began`], { sandboxPidns: true });
  assert.equal((await real.readAll(id)).toString(), 'began\n');
  assert.equal(await real.wait(id), 0);
  // The shell may have ended before its child has executed the program.
  while (running(...left) === 0) await delay(10);
  await real.remove(id);
  await settled();
  assert.equal(running(...left), 0);
});
