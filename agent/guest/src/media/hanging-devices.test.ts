import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import { DeviceWatch } from '../device/device-watch.js';
import { wantedBlock } from '../device/requested-devices.js';
import { bringMemoryOnline, bringOnline } from '../resource/online.js';
import { makeTree } from '../testing/tree.js';
import { MediaThreads } from './media-threads.js';

const late = { kind: 'deadline', message: /did not answer within 1 seconds/ };

const trees: string[] = [];
const media = new MediaThreads({
  syscalls: loadSyscalls(),
  log: () => undefined,
  limits: { running: 1, hanging: 2, slowMilliseconds: 50, milliseconds: 1_000 },
});
after(async () => {
  await media.settle();
  for (const each of trees) rmSync(each, { recursive: true });
});

/** A copied sysfs with a FIFO: the other end of it stands for the host, for which a call of the kernel waits. */
function withFifo(fifo: string, files: Readonly<Record<string, string>>): { sys: string; fifo: string } {
  const root = makeTree(files);
  trees.push(root);
  const path = join(root, fifo);
  execFileSync('mkfifo', [path]);
  return { sys: join(root, 'sys'), fifo: path };
}

test('a CPU that does not come online fails its own call alone', async () => {
  const { sys, fifo } = withFifo('sys/devices/system/cpu/cpu1/online', {
    'sys/devices/system/cpu/online': '0\n',
    'sys/devices/system/cpu/cpu1/x': '',
    'sys/devices/system/memory/memory1/online': '0',
  });
  const failed = assert.rejects(bringOnline({ cpus: 0, cpuOnly: true }, { media, sys }), late);
  // The loop runs meanwhile, and another thread.
  await bringMemoryOnline({ media, sys });
  assert.equal(readFileSync(join(sys, 'devices/system/memory/memory1/online'), 'utf8'), '1');
  assert.equal(media.hanging, 1);
  await failed;
  await (await open(fifo, 'r+')).close();
  await media.settle();
  assert.equal(media.hanging, 0);
});

test('a scan of a bus that does not end fails its own call alone, which can be cancelled', async () => {
  const { sys, fifo } = withFifo('sys/class/scsi_host/host0/scan', {
    'sys/class/scsi_host/host0/x': '',
    'sys/class/scsi_device/0:0:2:4/device/block/sda/size': '1',
    'dev/sda': '',
  });
  const roots = { sys, dev: join(sys, '../dev') };
  const syscalls = loadSyscalls();
  const watch = new DeviceWatch({ roots, media, syscalls, log: () => undefined, timeoutSeconds: 60 });
  const removal = new AbortController();
  const cancelled = assert.rejects(watch.waitFor(wantedBlock('scsi', '2:3'), removal.signal), /removed/);
  // Another one is there, and needs no scan.
  await watch.waitFor(wantedBlock('scsi', '2:4'), new AbortController().signal);
  removal.abort(new Error('removed'));
  await cancelled;
  await assert.rejects(watch.waitFor(wantedBlock('scsi', '2:3'), new AbortController().signal), late);
  const host = await open(fifo, 'r+');
  await media.settle();
  const { buffer, bytesRead } = await host.read(Buffer.alloc(64));
  assert.match(buffer.toString('utf8', 0, bytesRead), /^0 2 3/);
  await host.close();
});
