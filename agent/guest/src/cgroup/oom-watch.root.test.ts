import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import type { CgroupPaths } from './cgroup-paths.js';
import { OomWatch } from './oom-watch.js';

const v1 = '/sys/fs/cgroup/memory';
const v2 = '/sys/fs/cgroup';
const version = existsSync(`${v2}/cgroup.controllers`) ? 2 : 1;
const skip = process.getuid?.() !== 0 && process.env['CI'] !== 'true' ? 'needs root' : false;

/** A cgroup of its own with 16 MiB of memory. */
function smallCgroup(): { readonly directory: string; readonly paths: CgroupPaths } {
  const directory = join(version === 1 ? v1 : v2, `kata-oom-${process.pid}`);
  mkdirSync(directory);
  writeFileSync(join(directory, version === 1 ? 'memory.limit_in_bytes' : 'memory.max'), String(16 << 20));
  const paths: CgroupPaths =
    version === 1 ? { version, controllers: new Map([['memory', directory]]) } : { version, directory };
  return { directory, paths };
}

/** Runs a shell in the cgroup whose children exceed the memory limit; only the shell waits for them, and survives. */
async function exceedLimit(directory: string, times: number): Promise<void> {
  const command = 'head -c 200000000 /dev/zero | tail -c 199999999 > /dev/null';
  const script = `echo $$ > ${directory}/cgroup.procs; for i in $(seq ${times}); do sh -c '${command}'; done; exit 0`;
  await once(spawn('sh', ['-c', script], { stdio: 'ignore' }), 'close');
}

test('the kernel notifies each OOM kill; no timer runs', { skip }, async (t) => {
  const { directory, paths } = smallCgroup();
  t.after(() => rmdirSync(directory));
  const alive = setTimeout(() => undefined, 60_000);
  t.after(() => clearTimeout(alive));
  t.mock.timers.enable({ apis: ['setInterval'] });
  const descriptors = readdirSync('/proc/self/fd').length;
  const watch = new OomWatch(loadSyscalls());
  watch.add('c1', paths);
  const signal = new AbortController().signal;
  const first = watch.next(signal);
  await exceedLimit(directory, 2);
  assert.equal(await first, 'c1');
  const counter = join(directory, version === 1 ? 'memory.oom_control' : 'memory.events');
  const kills = Number(/^oom_kill (\d+)$/m.exec(readFileSync(counter, 'utf8'))?.[1]);
  assert.ok(kills >= 2, `${kills} kills`);
  for (let rest = 1; rest < kills; rest += 1) assert.equal(await watch.next(signal), 'c1');
  watch.remove('c1');
  await new Promise(setImmediate);
  // Node keeps the inotify descriptor open until it exits.
  assert.ok(readdirSync('/proc/self/fd').length <= descriptors + (version === 2 ? 1 : 0));
});
