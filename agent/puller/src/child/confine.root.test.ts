import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Duplex } from 'node:stream';
import { confinementMounts, whyNotRoot, Workplace } from '../testing/unpacking.js';
import type { ChildOptions } from './options.js';

const probe = fileURLToPath(new URL('../testing/confinement-probe.js', import.meta.url));
const user = 2_113_929_217;

/** Runs the probe; returns what it sent, and how it ended. */
async function run(
  context: TestContext,
  blob: string,
): Promise<{ readonly sent: string; readonly signal: NodeJS.Signals | null; readonly place: Workplace }> {
  const place = new Workplace(context);
  mkdirSync(join(place.path, 'blobs'));
  writeFileSync(join(place.path, 'blobs', blob), '');
  const options: ChildOptions = {
    task: { name: 'unpack', blobs: join(place.path, 'blobs'), target: place.root },
    user,
    memory: 2 ** 30,
    cpuSeconds: 60,
    fileSize: 2 ** 20,
    parent: process.pid,
    programDirectory: resolve(fileURLToPath(import.meta.url), '../../../../..'),
    environment: ['LANG=C'],
  };
  const child = spawn(process.execPath, [probe, 'confine', JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const signal = new Promise<NodeJS.Signals | null>((settle) =>
    child.once('exit', (_, name) => settle(name)),
  );
  const sent = await text(child.stdio[3] as Duplex);
  return { sent, signal: await signal, place };
}

test('a process that was taken over reaches the blobs and the target alone', {
  skip: whyNotRoot,
}, async (context) => {
  const mounts = confinementMounts();
  const { sent, place } = await run(context, 'none');
  const outcomes = JSON.parse(sent) as Readonly<Record<string, string>>;
  const [done, ...root] = outcomes['list the root']?.split(' ') ?? [];
  // Beside libraries, blobs and target, only the directories above Node.js and the compiled program are visible.
  const above = [process.execPath, import.meta.dirname].map((path) => path.split('/')[1] ?? '');
  const expected = new Set(['blobs', 'target', 'usr', ...above]);
  assert.equal(done, 'done');
  assert.deepEqual(
    root.filter((name) => !/^lib(32|64|x32)?$/.test(name)),
    [...expected].sort(),
  );
  assert.deepEqual(
    { ...outcomes, 'list the root': '' },
    {
      'list the root': '',
      'read /etc/passwd': 'ENOENT',
      'read /proc': 'ENOENT',
      'write a library': 'EROFS',
      'write the program': 'EROFS',
      'write the root': 'EROFS',
      'write a blob': 'EROFS',
      'write the target': 'done',
      'leave the target': 'ENOENT',
      'make a device': 'EPERM',
      'make a fifo': 'done',
      'open a socket': 'EPERM',
      'open a Unix socket': 'EPERM',
      'run a program': 'ENOSYS',
      'signal the agent': 'ENOSYS',
      'see other descriptors': 'done 0 1 2 3',
      'control the terminal': 'EPERM',
    },
  );
  assert.deepEqual(readdirSync(place.root).sort(), ['fifo', 'x']);
  assert.deepEqual(confinementMounts(), mounts);
});

const fatal = [
  'execve',
  'mount',
  'umount2',
  'unshare',
  'setns',
  'chroot',
  'pivot_root',
  'open_tree',
  'capset',
  'bpf',
  'setuid',
  'swapon',
  'reboot',
];
for (const call of fatal) {
  test(`${call} ends the confined process`, { skip: whyNotRoot }, async (context) => {
    const { sent, signal } = await run(context, call);
    assert.equal(sent, '"ready"\n');
    assert.equal(signal, 'SIGSYS');
  });
}
