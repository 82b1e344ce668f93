import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type CreateContainerRequest, DeviceSchema, StorageSchema } from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema, MountSchema } from '@kata-agent/protocol/oci';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { readUntil } from '../harness/container-client.js';
import {
  blankDisk,
  container,
  ext4Disk,
  Host,
  host,
  mebibyte,
  openConfiguration,
  openImage,
  rootFolder,
} from './hotplug.js';
import { boot, type Qmp, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';

const skip = whyNoMachine('e2fsprogs', 'cryptsetup-bin') ?? false;

/** As Kata's runtimes start QEMU: nothing is plugged into the root bus of this kind of machine, so there are bridges. */
const args = [
  ['-machine', 'q35,nvdimm=on', '-m', 'slots=2,maxmem=2G'],
  [
    '-device',
    'pci-bridge,id=bridge,chassis_nr=1,shpc=off,addr=2,io-reserve=4k,mem-reserve=1m,pref64-reserve=1m',
  ],
  ['-device', 'pcie-root-port,id=root-port,chassis=2,slot=3,addr=3'],
  // Without events the kernel finds a disk only when it is told to look.
  ['-device', 'virtio-scsi-pci,id=controller,hotplug=off'],
].flat();

/** A slot behind the bridge, as QEMU has it and as the runtimes write it. */
const behindBridge = (
  slot: number,
): { readonly driver: string; readonly bus: string; readonly addr: string } => ({
  driver: 'virtio-blk-pci',
  bus: 'bridge',
  addr: slot.toString(16),
});
const pciPath = (slot: number): string => `02/${slot.toString(16).padStart(2, '0')}`;

function withStorage(
  request: CreateContainerRequest,
  storage: MessageInitShape<typeof StorageSchema>,
): CreateContainerRequest {
  request.storages.push(create(StorageSchema, { fstype: 'ext4', ...storage }));
  return request;
}

/** A storage that the container sees at /data. */
function withVolume(
  request: CreateContainerRequest,
  storage: MessageInitShape<typeof StorageSchema> & { readonly mountPoint: string },
): CreateContainerRequest {
  const bind = { destination: '/data', source: storage.mountPoint, type: 'bind', options: ['rbind', 'rw'] };
  request.OCI?.Mounts.push(create(MountSchema, bind));
  return withStorage(request, storage);
}

describe('disks that the host plugs while the guest runs', { skip }, () => {
  const guest = runningGuest('devices', async (folder) => {
    const disks = [ext4Disk(folder, 'image', rootFolder(folder, 'root'))];
    const append = ['agent.hotplug_timeout=60'];
    const overlay = [openConfiguration('kernel_modules = ["nfit", "nd-pmem"]')];
    return boot(await openImage('devices'), folder, { args, disks, append, overlay });
  });
  let qmp: Qmp;
  let pod: Host;

  before(async () => {
    qmp = await guest.machine.qmp();
    pod = new Host(guest.machine, qmp, guest.agent);
    await pod.sandbox(['nfit', 'nd_pmem']);
  });

  after(() => qmp?.close());

  it('runs a container from one that comes after the call, behind a bridge', async () => {
    const id = 'late';
    const root = `/run/kata-containers/${id}/rootfs`;
    const disk = ext4Disk(guest.folder, id, rootFolder(guest.folder, id, { word: 'from behind a bridge' }));
    const request = container(id, 'cat /word', { root });
    const created = guest.agent.createContainer(
      withStorage(request, { driver: 'blk', source: pciPath(3), mountPoint: root }),
    );
    await pod.agentWaits();
    await pod.plug(id, disk, behindBridge(3));
    await created;
    assert.deepEqual(await pod.finish(id), { output: 'from behind a bridge', status: 0 });
    await pod.unplug(id);
  });

  it('gives one behind a root port to a container as it is, by the guest’s numbers (S11)', async () => {
    const id = 'raw';
    const disk = blankDisk(guest.folder, id, mebibyte);
    writeFileSync(disk, 'of the host', { flag: 'r+' });
    const script =
      'head -c 11 /dev/data; stat -c " %t:%T" /dev/data; echo of the guest | dd of=/dev/data conv=notrunc,fsync';
    const request = container(id, `${script} 2>/dev/null`);
    // The host's own numbers, which mean another disk here, or none.
    const onHost = { Path: '/dev/data', Type: 'b', Major: 8n, Minor: 0n };
    request.OCI?.Linux?.Devices.push(create(LinuxDeviceSchema, onHost));
    request.devices.push(create(DeviceSchema, { id: '03/00', type: 'blk', containerPath: '/dev/data' }));
    const created = guest.agent.createContainer(request);
    await pod.agentWaits();
    await pod.plug(id, disk, { driver: 'virtio-blk-pci', bus: 'root-port' });
    await created;
    const numbers = await shell(
      guest.machine,
      'cat /sys/devices/pci0000:00/0000:00:03.0/*/virtio*/block/*/dev',
    );
    const [major = 0, minor = 0] = numbers.trim().split(':').map(Number);
    const { output, status } = await pod.finish(id);
    assert.equal(output, `of the host ${major.toString(16)}:${minor.toString(16)}\n`);
    assert.equal(status, 0);
    await pod.unplug(id);
    assert.equal(readFileSync(disk).toString('latin1', 0, 12), 'of the guest');
  });

  it('finds SCSI disks by target and logical unit, one after the other', async () => {
    for (const lun of [3, 258]) {
      const id = `scsi${lun}`;
      const disk = ext4Disk(guest.folder, id, rootFolder(guest.folder, id, { word: id }));
      await pod.plug(id, disk, { driver: 'scsi-hd', bus: 'controller.0', 'scsi-id': 1, lun });
      const volume = {
        driver: 'scsi',
        source: `1:${lun}`,
        mountPoint: `/run/kata-containers/sandbox/storage/${id}`,
      };
      const request = withVolume(container(id, 'cat /data/word; echo x > /data/written'), volume);
      assert.deepEqual(await pod.run(request), { output: id, status: 0 });
    }
  });

  it('waits for persistent memory by its name', async () => {
    const id = 'memory';
    const file = ext4Disk(guest.folder, id, rootFolder(guest.folder, id, { word: 'kept' }), 128 * mebibyte);
    const volume = {
      driver: 'nvdimm',
      source: '/dev/pmem0',
      mountPoint: `/run/kata-containers/sandbox/storage/${id}`,
    };
    const created = guest.agent.createContainer(withVolume(container(id, 'cat /data/word'), volume));
    await pod.agentWaits();
    const memory = {
      'qom-type': 'memory-backend-file',
      id: 'file',
      'mem-path': file,
      size: statSync(file).size,
    };
    await qmp.execute('object-add', { ...memory, share: true });
    await qmp.execute('device_add', { driver: 'nvdimm', id, memdev: 'file' });
    await created;
    assert.deepEqual(await pod.finish(id), { output: 'kept', status: 0 });
  });

  it('makes a file system on a fresh one, and grows it when the host has made the disk larger', async () => {
    const id = 'volume';
    const mountPoint = `/run/kata-containers/sandbox/storage/${id}`;
    const total = async (): Promise<bigint> =>
      (await guest.agent.getVolumeStats({ volumeGuestPath: mountPoint })).usage[0]?.total ?? 0n;
    await pod.plug(id, blankDisk(guest.folder, id, 16 * mebibyte), behindBridge(4));
    const request = container(id, 'read line; dd if=/dev/zero of=/data/large bs=1M count=24 && echo fits');
    const fresh = { driver: 'blk', source: pciPath(4), driverOptions: ['create_filesystem'], mountPoint };
    await guest.agent.createContainer(withVolume(request, fresh));
    const size = 48 * mebibyte;
    const before = await total();
    await pod.grow(id, size);
    await guest.agent.resizeVolume({ volumeGuestPath: mountPoint, size: BigInt(size) });
    assert.ok(before < 16 * mebibyte && (await total()) > 40 * mebibyte, `${before}, then ${await total()}`);
    await guest.agent.closeStdin({ containerId: id, execId: '' });
    assert.deepEqual(await pod.finish(id), { output: 'fits\n', status: 0 });
    await pod.unplug(id);
  });

  describe('with dm-verity', () => {
    const secret = 'what the hash covers';
    let good = '';
    let changed = '';
    let options: readonly string[] = [];

    before(() => {
      const size = 16 * mebibyte;
      good = ext4Disk(guest.folder, 'good', rootFolder(guest.folder, 'good', { word: secret }), size);
      const made = host('veritysetup', 'format', `--hash-offset=${size}`, good, good);
      const rootHash = /^Root hash:\s+([0-9a-f]+)$/m.exec(made)?.[1] ?? '';
      options = ['ro', 'X-kata.dmverity-enabled=true', `X-kata.dmverity.hashoffset=${size}`, rootHash];
      changed = join(guest.folder, 'changed.img');
      copyFileSync(good, changed);
      const bytes = readFileSync(changed);
      bytes.writeUInt8(bytes.readUInt8(bytes.indexOf(secret)) ^ 1, bytes.indexOf(secret));
      writeFileSync(changed, bytes);
    });

    /** A container from the disk in this slot. */
    function fromVerity(id: string, slot: number, hash: (right: string) => string): CreateContainerRequest {
      const root = `/run/kata-containers/${id}/rootfs`;
      const request = container(id, 'cat /word', { root });
      if (request.OCI?.Root !== undefined) request.OCI.Root.Readonly = true;
      const [rootHash = '', ...others] = options.toReversed();
      return withStorage(request, {
        driver: 'blk',
        source: pciPath(slot),
        mountPoint: root,
        options: [...others, `X-kata.dmverity.roothash=${hash(rootHash)}`],
      });
    }

    it('a disk that has the hash is read', async () => {
      await pod.plug('good', good, behindBridge(5));
      const request = fromVerity('good', 5, (right) => right);
      assert.deepEqual(await pod.run(request), { output: secret, status: 0 });
      assert.equal(
        (await shell(guest.machine, 'ls /dev/mapper')).trim(),
        'control',
        'the check goes with it',
      );
    });

    it('another hash is refused, and nothing stays', async () => {
      const request = fromVerity('wrong', 5, (right) =>
        right.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
      );
      await assert.rejects(
        guest.agent.createContainer(request),
        (error: unknown) =>
          error instanceof TtrpcError &&
          error.code === Code.PermissionDenied &&
          /does not pass dm-verity/.test(error.message),
      );
      assert.equal(
        (
          await shell(guest.machine, 'ls /dev/mapper; ls -d /run/kata-containers/wrong 2>/dev/null; true')
        ).trim(),
        'control',
      );
      await pod.unplug('good');
    });

    it('a bit that was changed cannot be read', async () => {
      await pod.plug('changed', changed, behindBridge(6));
      const { output, status } = await pod.run(fromVerity('changed', 6, (right) => right));
      assert.deepEqual({ output, status }, { output: '', status: 1 });
      await pod.unplug('changed');
    });
  });

  it('lives on when a disk vanishes under a container, and takes the next one there', async () => {
    const id = 'vanishing';
    const mountPoint = `/run/kata-containers/sandbox/storage/${id}`;
    await pod.plug(id, ext4Disk(guest.folder, id, rootFolder(guest.folder, id)), behindBridge(7));
    const script =
      'echo ready; read line; dd if=/dev/zero of=/data/word bs=1M count=1 conv=fsync || echo gone';
    const request = withVolume(container(id, script), { driver: 'blk', source: pciPath(7), mountPoint });
    await guest.agent.createContainer(request);
    await guest.agent.startContainer({ containerId: id });
    await readUntil(guest.agent, id, 'ready');
    await pod.unplug(id);
    await guest.agent.closeStdin({ containerId: id, execId: '' });
    assert.match(await readUntil(guest.agent, id, 'gone'), /gone/);
    await guest.agent.removeContainer({ containerId: id });
    assert.equal(await shell(guest.machine, `grep -c ${id} /proc/1/mounts; true`), '0\n');

    const other = ext4Disk(guest.folder, 'other', rootFolder(guest.folder, 'other', { word: 'another' }));
    await pod.plug('other', other, behindBridge(7));
    const again = withVolume(container(id, 'cat /data/word'), {
      driver: 'blk',
      source: pciPath(7),
      mountPoint,
    });
    assert.deepEqual(await pod.run(again), { output: 'another', status: 0 });
  });
});
