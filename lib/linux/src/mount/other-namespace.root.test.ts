import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ForeignPlace, graftMount } from './other-namespace.js';
import { loadSyscalls } from '../syscalls/load-syscalls.js';

const isRoot = process.getuid?.() === 0 || process.env['CI'] === 'true';
const skip: string | false = isRoot ? false : 'needs root';

let directory: string;
const processes: ChildProcess[] = [];
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'graft-'));
  for (const name of ['mounted', 'plain']) mkdirSync(join(directory, name));
  symlinkSync('mounted', join(directory, 'link'));
});
after(() => {
  for (const each of processes) each.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

/** Starts a process in its own mount namespace after running a script there. */
async function elsewhere(script: string): Promise<number> {
  const child = spawn('unshare', ['--mount', 'sh', '-c', `${script}; echo ready; exec sleep 1000`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child.pid ?? 0;
}

const place = (pid: number, name: string): ForeignPlace => ({
  namespace: `/proc/${pid}/ns/mnt`,
  path: join(directory, name),
});

test('a mount of one namespace appears in another, and in no third', { skip }, async () => {
  const source = await elsewhere(
    `mount -t tmpfs t ${directory}/mounted; echo shared > ${directory}/mounted/file`,
  );
  const target = await elsewhere('true');
  const [descriptors, workingDirectory] = [readdirSync('/proc/self/fd').length, process.cwd()];
  graftMount(loadSyscalls(), place(source, 'mounted'), place(target, 'made/deep'));
  assert.equal(readFileSync(`/proc/${target}/root${directory}/made/deep/file`, 'utf8'), 'shared\n');
  assert.ok(!existsSync(join(directory, 'made/deep/file')));
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
  assert.equal(process.cwd(), workingDirectory);
  execFileSync('true');
});

test('no link is followed at either end, and this process returns to its namespace', { skip }, async () => {
  const source = await elsewhere(`mount -t tmpfs t ${directory}/mounted`);
  const target = await elsewhere('true');
  const before = readFileSync('/proc/self/mountinfo', 'utf8');
  const graft = (from: string, to: string) => () =>
    graftMount(loadSyscalls(), place(source, from), place(target, to));
  assert.throws(graft('link', 'plain'), { name: 'UnsafePathError' });
  assert.throws(graft('mounted', 'link'), { name: 'UnsafePathError' });
  assert.throws(graft('mounted', 'link/x'), { name: 'UnsafePathError' });
  assert.throws(graft('missing', 'plain'), { code: 'ENOENT' });
  assert.throws(
    () => graftMount(loadSyscalls(), { ...place(source, ''), path: '/../etc' }, place(target, 'x')),
    {
      name: 'UnsafePathError',
    },
  );
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), before);
});
