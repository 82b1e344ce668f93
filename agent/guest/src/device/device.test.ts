import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { RecordingSyscalls } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { directMedia } from '../media-thread/direct-media.js';
import { settled } from '../testing/real-guest.js';
import { makeTree } from '../testing/tree.js';
import { DeviceWaits, DeviceWatch } from './device-watch.js';
import { blockAtPci, blockNameOf, linkAtPci, linkWithAddress } from './find-device.js';
import { blockDriverOf, parseScsiAddress, wantedBlock } from './requested-devices.js';
import { parsePciPath, pciDirectory } from './pci-path.js';

const trees: string[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true });
});

/** A copied sysfs and /dev. */
function roots(files: Readonly<Record<string, string>>): { readonly sys: string; readonly dev: string } {
  const root = makeTree({ 'sys/x': '', 'dev/x': '', ...files });
  trees.push(root);
  return { sys: join(root, 'sys'), dev: join(root, 'dev') };
}

function put(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
}

function watchOf(at: { readonly sys: string; readonly dev: string }, timeoutSeconds: number): DeviceWatch {
  const syscalls = new RecordingSyscalls();
  syscalls.fail('socket', 'EPERM');
  return new DeviceWatch({
    roots: at,
    media: directMedia(syscalls),
    syscalls,
    log: () => undefined,
    timeoutSeconds,
  });
}

const never = new AbortController().signal;

const bridge = 'sys/devices/pci0000:00/0000:00:02.0';

test('PCI paths of the runtimes are parsed', () => {
  const slot = (number: number, fn = 0) => ({ slot: number, function: fn });
  assert.deepEqual(parsePciPath('02/1f'), { rootComplex: '00', slots: [slot(2), slot(0x1f)] });
  assert.deepEqual(parsePciPath('02.1'), { rootComplex: '00', slots: [slot(2, 1)] });
  assert.deepEqual(parsePciPath('20/00/02'), { rootComplex: '20', slots: [slot(0), slot(2)] });
  assert.deepEqual(parsePciPath('02/00/01').slots.length, 3, 'a bridge, and no root complex');
  for (const wrong of ['', '/', '20', '2/', '02/20', '02.8', '../..', '02//01', '0x2'])
    assert.throws(() => parsePciPath(wrong), { kind: 'invalid', message: /PCI path/ });
});

test('a device behind a bridge is found by the kernel’s number of the bus', () => {
  const at = roots({
    [`${bridge}/pci_bus/0000:07/x`]: '',
    [`${bridge}/0000:07:01.0/virtio3/block/vdb/size`]: '8',
    [`${bridge}/0000:07:01.0/virtio3/block/vdb/vdb1/partition`]: '1',
    'dev/vdb': '',
    'dev/vdb1': '',
  });
  assert.equal(blockAtPci(parsePciPath('02/01'))(at), join(at.dev, 'vdb'), 'the disk, not its partition');
  assert.equal(blockAtPci(parsePciPath('02/02'))(at), undefined);
  assert.equal(blockAtPci(parsePciPath('03/01'))(at), undefined);
  assert.equal(pciDirectory(parsePciPath('02/01/01'), at.sys), undefined, 'it is not a bridge');
});

test('a device behind a bridge that does not name its bus is found by the addresses on it', () => {
  const at = roots({
    [`${bridge}/0000:07:01.0/virtio3/block/vdb/size`]: '8',
    [`${bridge}/0000:00:02.0:pcie001/driver`]: '',
    'dev/vdb': '',
  });
  assert.equal(blockAtPci(parsePciPath('02/01'))(at), join(at.dev, 'vdb'));
  const two = roots({ [`${bridge}/0000:07:01.0/x`]: '', [`${bridge}/0000:08:01.0/x`]: '' });
  assert.equal(pciDirectory(parsePciPath('02/01'), two.sys), undefined, 'the bus is ambiguous');
});

test('network interfaces, NVMe disks, and devices of a root complex of the device tree are found', () => {
  const platform = 'sys/devices/platform/4010000000.pcie/pci0000:00';
  const at = roots({
    [`${platform}/0000:00:01.0/virtio0/net/eth0/mtu`]: '1500',
    [`${platform}/0000:00:03.0/net/ens3/mtu`]: '1500',
    [`${platform}/0000:00:02.0/nvme/nvme0/nvme0n1/size`]: '1',
    'dev/nvme0n1': '',
  });
  assert.equal(linkAtPci(parsePciPath('01'))(at), 'eth0');
  assert.equal(linkAtPci(parsePciPath('03'))(at), 'ens3');
  assert.equal(linkAtPci(parsePciPath('02'))(at), undefined);
  mkdirSync(join(at.sys, 'class/net/eth0'), { recursive: true });
  writeFileSync(join(at.sys, 'class/net/eth0/address'), '02:00:00:00:00:0a\n');
  assert.equal(linkWithAddress('02:00:00:00:00:0A')(at), 'eth0');
  assert.equal(linkWithAddress('02:00:00:00:00:0b')(at), undefined);
  assert.equal(linkWithAddress('')(at), undefined);
  assert.equal(blockAtPci(parsePciPath('02'))(at), join(at.dev, 'nvme0n1'));
});

test('a wait for a disk ends when its node exists', async () => {
  const at = roots({});
  const watch = watchOf(at, 5);
  const disk = wantedBlock('blk', '04');
  const come = watch.waitFor(disk, never);
  await delay(10);
  put(join(at.sys, 'devices/pci0000:00/0000:00:04.0/virtio1/block/vda/size'));
  await delay(150);
  assert.throws(() => watch.find(disk), { kind: 'not-found', message: /PCI path 04 does not exist/ });
  put(join(at.dev, 'vda'));
  await come;
  assert.equal(watch.find(disk), join(at.dev, 'vda'));
});

test('a wait that times out is an error that names the disk and the setting', async () => {
  const at = roots({});
  await assert.rejects(watchOf(at, 0.05).waitFor(wantedBlock('blk', '04/02'), never), {
    kind: 'not-found',
    message: 'a disk at PCI path 04/02 did not appear within 0.05 seconds (hotplug_timeout)',
  });
});

test('a wait is cancelled for one container, for all, or by its call', async () => {
  const watch = watchOf(roots({}), 600);
  const waits = new DeviceWaits(watch, () => undefined);
  const wait = (container: string, signal?: AbortSignal): Promise<string> =>
    waits.forAll([wantedBlock('blk', '04')], { container, signal }).then(
      () => 'found',
      (error: Error) => error.message,
    );
  const caller = new AbortController();
  const [a, b, c] = [wait('a'), wait('b'), wait('c', caller.signal)];
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((id) => waits.has(id)),
    [true, true, true, false],
  );
  assert.equal(waits.giveUp('by the test', 'd'), false);
  assert.equal(waits.giveUp('by the test', 'a'), true);
  const cancelled = 'the wait for a disk at PCI path 04 was cancelled:';
  assert.equal(await a, `${cancelled} by the test`);
  caller.abort();
  assert.equal(await c, `${cancelled} the call was cancelled or its deadline passed`);
  assert.equal(await wait('d', caller.signal), `${cancelled} the call was cancelled or its deadline passed`);
  assert.equal(waits.has('b'), true);
  assert.equal(waits.giveUp('at the end'), true);
  assert.equal(await b, `${cancelled} at the end`);
  assert.equal(waits.giveUp('at the end'), false);
});

test('the SCSI bus is scanned; a disk of another target does not match', async () => {
  const at = roots({
    'sys/class/scsi_host/host0/scan': '',
    'sys/class/scsi_device/0:0:12:3/device/block/sdb/size': '1',
    'dev/sda': '',
    'dev/sdb': '',
  });
  const watch = watchOf(at, 60);
  const disk = wantedBlock('scsi', '2:3');
  assert.equal(watch.has(disk), false);
  const waiting = watch.waitFor(disk, never);
  await settled();
  assert.equal(readFileSync(join(at.sys, 'class/scsi_host/host0/scan'), 'utf8'), '0 2 3');
  put(join(at.sys, 'class/scsi_device/0:0:2:3/device/block/sda/size'));
  await waiting;
  assert.equal(watch.has(disk), true);
  assert.equal(watch.find(disk), join(at.dev, 'sda'));
  for (const wrong of ['', '2', '2:3:4', '-1:0', '256:0', '0:16384', 'a:b'])
    assert.throws(() => parseScsiAddress(wrong), { kind: 'invalid' });
});

test('devices named by their node are waited for', async () => {
  const at = roots({ 'sys/class/block/pmem0/size': '1', 'dev/pmem0': '' });
  const watch = watchOf(at, 0.05);
  for (const driver of ['nvdimm', 'blk'] as const)
    assert.equal(watch.find(wantedBlock(driver, '/dev/pmem0')), join(at.dev, 'pmem0'));
  await assert.rejects(watch.waitFor(wantedBlock('mmioblk', '/dev/vdz'), never), { kind: 'not-found' });
});

test('no address leads out of /dev', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webPath(), fc.constant('/dev/../etc/passwd')), (path) => {
      try {
        assert.match(`/dev/${blockNameOf(path)}`, /^\/dev\/[A-Za-z0-9][^/]*$/);
      } catch (error) {
        assert.equal((error as Error).name, 'GuestError');
      }
    }),
  );
});

test('no request names a device that the guest maps', () => {
  for (const driver of ['blk', 'mmioblk', 'nvdimm'] as const)
    for (const path of ['/dev/dm-0', '/dev/dm-12', '/dev/dm-0p1'])
      assert.throws(() => wantedBlock(driver, path), { kind: 'refused', message: /one that the guest maps/ });
});

test('unsupported device types are refused by name', () => {
  for (const kind of ['blk-ccw', 'vfio-ap', 'vfio-ap-cold', 'vfio', 'vfio-mdev'])
    assert.throws(() => blockDriverOf(kind), {
      kind: 'unimplemented',
      message: new RegExp(`${kind} are not supported; (they exist on s390x only|help:)`),
    });
  assert.throws(() => blockDriverOf('floppy'), {
    kind: 'invalid',
    message: /"floppy" is not known; help: use one of blk/,
  });
  assert.equal(blockDriverOf('scsi'), 'scsi');
});
