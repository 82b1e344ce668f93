import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ForeignPlace, graftMount } from './graft-mount.js';
import { loadSyscalls } from './koffi.js';

const isRoot = process.getuid?.() === 0 || process.env['CI'] === 'true';
const skip: string | false = isRoot ? false : 'needs root';

let folder: string;
const processes: ChildProcess[] = [];
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'graft-'));
  for (const name of ['mounted', 'plain']) mkdirSync(join(folder, name));
  symlinkSync('mounted', join(folder, 'link'));
});
after(() => {
  for (const each of processes) each.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A process with a mount namespace of its own, after it has run this script. */
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
  path: join(folder, name),
});

test('a mount of one namespace is seen in another one, and in no third', { skip }, async () => {
  const source = await elsewhere(`mount -t tmpfs t ${folder}/mounted; echo shared > ${folder}/mounted/file`);
  const target = await elsewhere('true');
  const [descriptors, directory] = [readdirSync('/proc/self/fd').length, process.cwd()];
  graftMount(loadSyscalls(), place(source, 'mounted'), place(target, 'made/deep'));
  assert.equal(readFileSync(`/proc/${target}/root${folder}/made/deep/file`, 'utf8'), 'shared\n');
  assert.ok(!existsSync(join(folder, 'made/deep/file')));
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
  assert.equal(process.cwd(), directory);
  execFileSync('true');
});

test('no link is followed at either end, and this process is where it was', { skip }, async () => {
  const source = await elsewhere(`mount -t tmpfs t ${folder}/mounted`);
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
