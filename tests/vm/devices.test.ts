import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type CreateContainerRequest, DeviceSchema, StorageSchema } from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema, MountSchema } from '@kata-agent/protocol/oci';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Qmp } from '@kata-agent/tool-vm/machine/qmp';
import { readUntil, writeAll } from '../harness/container-client.js';
import { layerContent, layerImage, partitionedDisk } from '../harness/layer-disks.js';
import {
  blankDisk,
  container,
  ext4Disk,
  Host,
  host,
  mebibyte,
  openConfiguration,
  openImage,
  rootDirectory,
} from './hotplug.js';
import { type ExtensionDisk, devkitDisk } from './extension-disk.js';
import { boot, dial, poweredOff, shell, whyNoMachine } from './machine.js';
import { bytesUntilEnd } from './read-socket.js';
import { runningGuest } from './running-guest.js';
import { sideChannelPorts } from './side-channel-configuration.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine('e2fsprogs', 'erofs-utils', 'fdisk', 'cryptsetup-bin') ?? false;

/**
 * As Kata's runtimes start QEMU: devices cannot be plugged into the root bus of this machine type, so there are
 * bridges.
 */
const args = [
  ['-machine', 'q35,nvdimm=on', '-m', 'slots=2,maxmem=2G'],
  [
    '-device',
    'pci-bridge,id=bridge,chassis_nr=1,shpc=off,addr=2,io-reserve=4k,mem-reserve=1m,pref64-reserve=1m',
  ],
  ['-device', 'pcie-root-port,id=root-port,chassis=2,slot=3,addr=3'],
  // Without events the kernel finds a disk only after a scan request.
  ['-device', 'virtio-scsi-pci,id=controller,hotplug=off'],
].flat();

/** Optional modules of the image. */
const optionalModules = ['tun', 'cifs'];

/** A slot behind the bridge, in the notation of QEMU and of the runtimes. */
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

/** Lists the guest's mapped devices, as those of dm-verity, but for that of the extension image. */
const mappedDevices = 'ls -d /sys/block/dm-* 2>/dev/null | grep -v dm-0; true';

/** A storage that the container mounts at /data. */
function withVolume(
  request: CreateContainerRequest,
  storage: MessageInitShape<typeof StorageSchema> & { readonly mountPoint: string },
): CreateContainerRequest {
  const bind = { destination: '/data', source: storage.mountPoint, type: 'bind', options: ['rbind', 'rw'] };
  request.OCI?.Mounts.push(create(MountSchema, bind));
  return withStorage(request, storage);
}

describe('disks that the host plugs while the guest runs', { skip }, () => {
  let extension: ExtensionDisk | undefined;
  const guest = runningGuest('devices', async (directory) => {
    const disks = [ext4Disk(directory, 'image', rootDirectory(directory, 'root'))];
    extension = devkitDisk(directory);
    const append = ['agent.hotplug_timeout=60', extension.kernelWord];
    const lines = [
      'kernel_modules = ["nfit", "nd-pmem"]',
      `extensions = ["devkit=sha256:${extension.rootHash}"]`,
      'debug_console = true',
      `debug_console_vport = ${sideChannelPorts['debug console']}`,
    ];
    const overlay = [openConfiguration(lines.join('\n'))];
    const image = await openImage('devices', optionalModules);
    return boot(image, directory, { args: [...args, ...extension.args], disks, append, overlay });
  });
  let qmp: Qmp;
  let pod: Host;

  before(async () => {
    qmp = await guest.machine.qmp();
    pod = new Host(guest.machine, qmp, guest.agent);
    await pod.sandbox(['nfit', 'nd_pmem']);
  });

  after(() => qmp?.close());

  it('has the modules that its image was built with', async () => {
    const found = await shell(
      guest.machine,
      'ls /dev/net/tun; grep -w cifs /proc/filesystems; grep -c ^cmac /proc/modules',
    );
    assert.equal(found, '/dev/net/tun\nnodev\tcifs\n1\n');
  });

  it('has mounted the extension image that the runtime attached, and its shell is the debug console', async () => {
    const line = await shell(guest.machine, 'grep kata-extensions /proc/1/mounts');
    assert.match(line, /^\/dev\/dm-0 \/run\/kata-extensions\/devkit erofs ro,nosuid,nodev/);
    const console = await dial(guest.machine, sideChannelPorts['debug console']);
    console.write('echo "and $((6*7))"; exit\n');
    const text = String(await bytesUntilEnd(console));
    assert.match(text, /^the shell of devkit\r$[^]*^and 42\r$/m);
    const [begin] = await verifiedRecord(guest.machine, guest.directory);
    const facts = begin?.['facts'] as { readonly extensions?: unknown } | undefined;
    assert.deepEqual(facts?.extensions, [{ name: 'devkit', rootHash: extension?.rootHash }]);
  });

  it('does not start with an extension image that is changed', async () => {
    assert.ok(extension !== undefined);
    const { path, rootHash, kernelWord, args: attached } = extension;
    const directory = join(guest.directory, 'refused');
    mkdirSync(directory);
    const other = join(directory, 'changed.img');
    const bytes = readFileSync(path);
    // The super block of EROFS is in the first block of the first partition.
    const at = mebibyte + 1024;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(other, bytes);
    const machine = await boot(await openImage('devices', optionalModules), directory, {
      args: attached.map((argument) => argument.replace(path, other)),
      append: [kernelWord],
      overlay: [openConfiguration(`extensions = ["devkit=sha256:${rootHash}"]`)],
    });
    try {
      await machine.line(/extension image devkit does not match its root hash/);
      await poweredOff(machine);
    } finally {
      await machine.kill();
    }
  });

  it('runs a container from one that appears after the call, behind a bridge', async () => {
    const id = 'late';
    const root = `/run/kata-containers/${id}/rootfs`;
    const disk = ext4Disk(
      guest.directory,
      id,
      rootDirectory(guest.directory, id, { word: 'from behind a bridge' }),
    );
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

  it('passes one behind a root port to a container, by the guest’s numbers (S11)', async () => {
    const id = 'raw';
    const disk = blankDisk(guest.directory, id, mebibyte);
    writeFileSync(disk, 'of the host', { flag: 'r+' });
    const script =
      'head -c 11 /dev/data; stat -c " %t:%T" /dev/data; echo of the guest | dd of=/dev/data conv=notrunc,fsync';
    const request = container(id, `${script} 2>/dev/null`);
    // The host's own numbers, which are another disk here, or none.
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

  it('denies the guest’s devices to nodes that a container creates, also after an update (S11)', async () => {
    const id = 'nodes';
    // The console, /dev/net/tun, and /dev/null as a device that can be opened.
    const script =
      'exec 2>&1; for round in created updated; do for node in "c 5 1" "c 10 200" "c 1 3"; do busybox mknod /dev/node $node; echo >/dev/node; busybox rm -f /dev/node; done; busybox mknod /dev/node b 254 0; echo $round; read line; done';
    const request = container(id, script);
    const { Capabilities } = request.OCI?.Process ?? {};
    assert.ok(Capabilities);
    for (const set of [Capabilities.Bounding, Capabilities.Effective, Capabilities.Permitted])
      set.push('CAP_MKNOD');
    await guest.agent.createContainer(request);
    await guest.agent.startContainer({ containerId: id });
    const denied =
      "sh: can't create /dev/node: Operation not permitted\n".repeat(2) +
      'mknod: /dev/node: Operation not permitted\n';
    assert.equal(await readUntil(guest.agent, id, 'created\n'), `${denied}created\n`);
    await guest.agent.updateContainer({ containerId: id, resources: { Memory: { Limit: 64n << 20n } } });
    await writeAll(guest.agent, id, Buffer.from('\n'));
    assert.equal(await readUntil(guest.agent, id, 'updated\n'), `${denied}updated\n`);
    await guest.agent.removeContainer({ containerId: id });
  });

  it('finds SCSI disks by target and logical unit, one after another', async () => {
    for (const lun of [3, 258]) {
      const id = `scsi${lun}`;
      const disk = ext4Disk(guest.directory, id, rootDirectory(guest.directory, id, { word: id }));
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

  it('waits for persistent memory by name', async () => {
    const id = 'memory';
    const file = ext4Disk(
      guest.directory,
      id,
      rootDirectory(guest.directory, id, { word: 'kept' }),
      128 * mebibyte,
    );
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

  it('creates a file system on an empty one, and grows it when the host has resized the disk', async () => {
    const id = 'volume';
    const mountPoint = `/run/kata-containers/sandbox/storage/${id}`;
    const total = async (): Promise<bigint> =>
      (await guest.agent.getVolumeStats({ volumeGuestPath: mountPoint })).usage[0]?.total ?? 0n;
    await pod.plug(id, blankDisk(guest.directory, id, 16 * mebibyte), behindBridge(4));
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
      good = ext4Disk(
        guest.directory,
        'good',
        rootDirectory(guest.directory, 'good', { word: secret }),
        size,
      );
      const made = host('veritysetup', 'format', `--hash-offset=${size}`, '--salt=00ff', good, good);
      const rootHash = /^Root hash:\s+([0-9a-f]+)$/m.exec(made)?.[1] ?? '';
      const salt = 'X-kata.dmverity.salt=00ff';
      options = ['ro', 'X-kata.dmverity-enabled=true', `X-kata.dmverity.hashoffset=${size}`, salt, rootHash];
      changed = join(guest.directory, 'changed.img');
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

    it('a disk with the right hash can be read', async () => {
      await pod.plug('good', good, behindBridge(5));
      const request = fromVerity('good', 5, (right) => right);
      assert.deepEqual(await pod.run(request), { output: secret, status: 0 });
      assert.equal(
        await shell(guest.machine, mappedDevices),
        '',
        'the verity device is removed with the container',
      );
    });

    it('another hash is rejected, and nothing remains', async () => {
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
        await shell(guest.machine, `${mappedDevices}; ls -d /run/kata-containers/wrong 2>/dev/null; true`),
        '',
      );
      await pod.unplug('good');
    });

    it('a changed bit cannot be read', async () => {
      await pod.plug('changed', changed, behindBridge(6));
      const { output, status } = await pod.run(fromVerity('changed', 6, (right) => right));
      assert.deepEqual({ output, status }, { output: '', status: 1 });
      await pod.unplug('changed');
    });
  });

  describe('with EROFS layers on the partitions of one disk, each with dm-verity', () => {
    const secret = 'what the second layer says';
    const salt = 'ab'.repeat(32);
    /** Options of the layers, topmost first. */
    let verity: readonly (readonly string[])[] = [];
    let good = '';
    let changed = '';

    before(() => {
      const top = layerContent(guest.directory, { top: 'top', 'etc/x': 'x' });
      const base = rootDirectory(guest.directory, 'base', { word: secret, other: 'o'.repeat(8192) });
      const images = [top, base].map((content, index) =>
        layerImage(guest.directory, `layer${index}`, content),
      );
      // One with a superblock before the hash tree, and one without.
      verity = images.map((image, index) => {
        const { size } = statSync(image);
        const superblock = index === 0 ? [] : ['--no-superblock', `--data-blocks=${size / 4096}`];
        const made = host(
          'veritysetup',
          'format',
          `--hash-offset=${size}`,
          `--salt=${salt}`,
          ...superblock,
          image,
          image,
        );
        const rootHash = /^Root hash:\s+([0-9a-f]+)$/m.exec(made)?.[1] ?? '';
        return [
          'X-kata.dmverity-enabled=true',
          `X-kata.dmverity.roothash=${rootHash}`,
          `X-kata.dmverity.hashoffset=${size}`,
          `X-kata.dmverity.salt=${salt}`,
          `X-kata.dmverity.no-superblock=${index !== 0}`,
        ];
      });
      good = partitionedDisk(guest.directory, 'layers', images);
      changed = join(guest.directory, 'changed-layers.img');
      const bytes = readFileSync(good);
      const at = bytes.indexOf(secret);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      writeFileSync(changed, bytes);
    });

    function fromLayers(
      id: string,
      slot: number,
      change: (options: readonly string[]) => readonly string[] = (options) => options,
    ): CreateContainerRequest {
      const root = `/run/kata-containers/shared/containers/passthrough/${id}/rootfs`;
      const request = container(id, 'cat /top; echo written >/other; cat /word', { root });
      const all = ['X-kata.overlay-lower', 'X-kata.multi-layer=true', 'X-kata.gpt-partitioned=true'];
      for (const [index, options] of verity.entries())
        withStorage(request, {
          driver: 'blk',
          source: pciPath(slot),
          fstype: 'erofs',
          mountPoint: root,
          options: [...all, `X-kata.partition-number=${index + 1}`, ...change(options)],
        });
      return request;
    }

    const remains = `${mappedDevices}; grep -c layers /proc/1/mounts; ls -d /run/kata-containers/shared/containers/passthrough/*/rootfs 2>/dev/null; true`;

    it('a container runs from them when their disk appears, and nothing remains', async () => {
      const id = 'layers';
      const created = guest.agent.createContainer(fromLayers(id, 8));
      await pod.agentWaits();
      await pod.plug(id, good, behindBridge(8));
      await created;
      assert.equal((await shell(guest.machine, mappedDevices)).trim().split('\n').length, 2);
      assert.deepEqual(await pod.finish(id), { output: `top${secret}`, status: 0 });
      assert.equal(await shell(guest.machine, remains), '0\n');
    });

    it('two containers of the same image have verity devices of their own', async () => {
      for (const id of ['first', 'second']) await guest.agent.createContainer(fromLayers(id, 8));
      assert.equal((await shell(guest.machine, mappedDevices)).trim().split('\n').length, 4);
      for (const id of ['first', 'second'])
        assert.deepEqual(await pod.finish(id), { output: `top${secret}`, status: 0 });
      assert.equal(await shell(guest.machine, remains), '0\n');
    });

    const isSalt = (option: string): boolean => option.startsWith('X-kata.dmverity.salt=');
    const wrongLayers: readonly (readonly [
      what: string,
      change: (options: readonly string[]) => readonly string[],
    ])[] = [
      [
        'a wrong root hash',
        (options) =>
          options.map((option) =>
            option === verity[1]?.[1]
              ? option.replace(/=./, (text) => (text === '=0' ? '=1' : '=0'))
              : option,
          ),
      ],
      ['another salt', (options) => options.map((option) => (isSalt(option) ? `${option}00` : option))],
      ['no salt', (options) => options.filter((option) => !isSalt(option))],
    ];
    for (const [what, change] of wrongLayers) {
      it(`${what} is rejected, and the layers before it are released`, async () => {
        await assert.rejects(
          guest.agent.createContainer(fromLayers('wrong', 8, change)),
          (error: unknown) =>
            error instanceof TtrpcError &&
            error.code === Code.PermissionDenied &&
            /does not pass dm-verity/.test(error.message),
        );
        assert.equal(await shell(guest.machine, remains), '0\n');
      });
    }

    it('a hash tree beyond the end of the partition is rejected', async () => {
      const request = fromLayers('beyond', 8, (options) =>
        options.map((option) => option.replace(/hashoffset=.*/, `hashoffset=${2 ** 30}`)),
      );
      await assert.rejects(
        guest.agent.createContainer(request),
        (error: unknown) => error instanceof TtrpcError && /the kernel rejects its table/.test(error.message),
      );
      assert.equal(await shell(guest.machine, remains), '0\n');
      await pod.unplug('layers');
    });

    it('a changed block is an I/O error in the container', async () => {
      const id = 'changed-layers';
      await pod.plug(id, changed, behindBridge(9));
      const request = fromLayers(id, 9);
      assert.ok(request.OCI?.Process);
      request.OCI.Process.Args = ['sh', '-c', 'cat /top; cat /word 2>&1'];
      const { output, status } = await pod.run(request);
      assert.match(output, /^topcat: .*Input\/output error/);
      assert.equal(status, 1);
      assert.equal(await shell(guest.machine, remains), '0\n');
      await pod.unplug(id);
    });
  });

  it('survives the removal of a disk in use, and accepts the next one there', async () => {
    const id = 'vanishing';
    const mountPoint = `/run/kata-containers/sandbox/storage/${id}`;
    await pod.plug(id, ext4Disk(guest.directory, id, rootDirectory(guest.directory, id)), behindBridge(7));
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

    const other = ext4Disk(
      guest.directory,
      'other',
      rootDirectory(guest.directory, 'other', { word: 'another' }),
    );
    await pod.plug('other', other, behindBridge(7));
    const again = withVolume(container('following', 'cat /data/word'), {
      driver: 'blk',
      source: pciPath(7),
      mountPoint,
    });
    assert.deepEqual(await pod.run(again), { output: 'another', status: 0 });
  });
});
