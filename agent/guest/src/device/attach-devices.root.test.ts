import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import type { AttachedDevice, CreateContainer } from '../request/actions.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, settled, skip, skipWithout } from '../testing/real-guest.js';
import { deviceNumber } from './device-number.js';

let real: RealGuest;
const disks: LoopDevice[] = [];
before(async () => {
  if (skip !== false) return;
  real = await RealGuest.open({ hotplugTimeout: 0.2 });
});
after(async () => {
  if (skip !== false) return;
  await real.close();
  for (const each of disks) each.remove();
});

/** A disk that begins with this text. */
function disk(text = ''): LoopDevice {
  const made = new LoopDevice(16 * 1024 * 1024);
  disks.push(made);
  if (text !== '') writeFileSync(made.path, Buffer.from(text.padEnd(4096)), { flag: 'r+' });
  return made;
}

const attach = (of: LoopDevice, more: Partial<AttachedDevice> = {}): AttachedDevice => ({
  id: of.path,
  type: 'mmioblk',
  vmPath: of.path,
  containerPath: '/dev/data',
  options: [],
  ...more,
});

/** Device numbers of the host, which are those of other disks in the guest. */
const onHost = { path: '/dev/data', type: 'b', major: 7, minor: 250 };

type Asked = Pick<CreateContainer, 'devices'> & { readonly access?: string };

async function output(script: string, { devices, access }: Asked): Promise<string> {
  const spec = real.spec(['sh', '-c', script]);
  const rules = access === undefined ? [] : [{ ...onHost, allow: true, access }];
  const linux = { ...spec.linux, devices: [onHost], resources: { devices: rules } };
  const id = await real.run([], { devices, spec: { ...spec, linux } });
  const text = (await real.readAll(id)).toString();
  await real.wait(id);
  await real.remove(id);
  return text;
}

test('a container reads and writes its disk at the path of its spec', { skip }, async () => {
  const data = disk('of the host');
  const script = 'head -c 11 /dev/data; echo written | dd of=/dev/data bs=512 seek=8 conv=sync 2>/dev/null';
  assert.equal(await output(script, { devices: [attach(data)] }), 'of the host');
  const written = execFileSync('dd', [`if=${data.path}`, 'bs=512', 'skip=8', 'count=1', 'status=none']);
  assert.equal(written.subarray(0, 8).toString(), 'written\n');
});

test('a disk with a read-only device rule cannot be written', { skip }, async () => {
  const data = disk('of the host');
  const script = 'head -c 11 /dev/data; echo x > /dev/data || echo refused';
  assert.equal(
    await output(`${script} 2>/dev/null`, { devices: [attach(data)], access: 'r' }),
    'of the hostrefused\n',
  );
});

test('a container cannot open or create nodes of other disks, nor create its own again', {
  skip,
}, async () => {
  const [data, other] = [disk('own'), disk('other')];
  const node = (of: LoopDevice): string => {
    const { major, minor } = deviceNumber(lstatSync(of.path, { bigint: true }).rdev);
    return `${major} ${minor}`;
  };
  const script = [
    `mknod /tmp/other b ${node(other)} && echo made`,
    `mknod /tmp/own b ${node(data)} && echo made`,
    'head -c 5 /tmp/other',
    'head -c 3 /dev/data',
  ].join('; ');
  assert.equal(await output(`(${script}) 2>/dev/null`, { devices: [attach(data)] }), 'own');
});

const uses: Readonly<Record<string, (of: LoopDevice) => () => void>> = {
  'is mounted': (of) => {
    of.with('mkfs.ext4', '-q');
    const place = join(real.directory, 'mounted');
    mkdirSync(place);
    execFileSync('mount', [of.path, place]);
    return () => execFileSync('umount', [place]);
  },
  'is swapped to': (of) => {
    of.with('mkswap', '-q');
    of.with('swapon');
    return () => of.with('swapoff');
  },
};

for (const [what, use] of Object.entries(uses)) {
  test(`a disk that ${what} in the guest is refused, and nothing is left`, {
    skip: skipWithout('mkfs.ext4'),
  }, async () => {
    const used = disk();
    const release = use(used);
    try {
      const before = real.traces();
      const refused = output('true', { devices: [attach(used)] });
      await assert.rejects(refused, { kind: 'refused', message: /loop\d+ is in use in the guest/ });
      await settled();
      assert.deepEqual(real.traces(), before);
    } finally {
      release();
    }
    assert.equal(await outputOnceFree('echo free', used), 'free\n');
  });
}

/** A mount namespace that another test made meanwhile has a copy of the mount, and uses the disk, until it ends. */
async function outputOnceFree(script: string, of: LoopDevice): Promise<string> {
  for (let tries = 200; ; tries -= 1) {
    try {
      return await output(script, { devices: [attach(of)] });
    } catch (error) {
      if (tries === 0 || !/is in use in the guest/.test((error as Error).message)) throw error;
      await delay(50);
    }
  }
}

test('two containers can have the same disk', { skip }, async () => {
  const data = disk('shared');
  const spec = real.spec(['sh', '-c', 'exec 3< /dev/data; echo open; exec sleep 1000']);
  const linux = { ...spec.linux, devices: [onHost] };
  const holder = await real.run([], { devices: [attach(data)], spec: { ...spec, linux } });
  await real.readUntil('open', { containerId: holder, execId: '' });
  assert.equal(await output('head -c 6 /dev/data', { devices: [attach(data)] }), 'shared');
  await real.remove(holder);
});

test('a disk that its container has mounted can be a device of another container', {
  skip: skipWithout('mkfs.ext4'),
}, async () => {
  const data = disk();
  data.with('mkfs.ext4', '-q', '-L', 'of-the-pod');
  const script = 'busybox mount -t ext4 /dev/data /tmp && echo mounted; exec sleep 1000';
  const spec = real.spec(['sh', '-c', script]);
  const holder = await real.run([], {
    devices: [attach(data)],
    spec: { ...spec, linux: { ...spec.linux, devices: [onHost] } },
  });
  await real.readUntil('mounted', { containerId: holder, execId: '' });
  const label = 'dd if=/dev/data bs=1 skip=1144 count=10 2>/dev/null';
  assert.equal(await output(label, { devices: [attach(data)] }), 'of-the-pod');
  await real.remove(holder);
});

test('a disk that a container has as a device is neither mounted nor swapped to', {
  skip: skipWithout('mkfs.ext4'),
}, async () => {
  const data = disk();
  data.with('mkfs.ext4', '-q');
  const spec = real.spec(['sleep', '1000']);
  const holder = await real.run([], {
    devices: [attach(data)],
    spec: { ...spec, linux: { ...spec.linux, devices: [onHost] } },
  });
  await settled();
  const before = real.traces();
  const volume = real.storage('mmioblk', 'sandbox/storage/volume', { source: data.path, fstype: 'ext4' });
  const refused = { kind: 'refused', message: new RegExp(`loop\\d+ is a device of container ${holder}`) };
  for (const more of [{}, { driver: 'blk' }, { driverOptions: ['create_filesystem'] }])
    await assert.rejects(real.run(['true'], { storages: [{ ...volume, ...more }] }), refused);
  await assert.rejects(real.guest.context.swap.add(data.path), refused);
  const itself = { devices: [attach(data)], storages: [volume] };
  await assert.rejects(real.run(['true'], itself), { kind: 'refused' }, 'not for the same container either');
  await settled();
  assert.deepEqual(real.traces(), before);
  await real.remove(holder);
  await real.remove(await real.run(['true'], { storages: [volume] }));
});

test('disks that cannot be attached are refused with the reason', { skip }, async () => {
  const data = disk();
  const before = real.traces();
  const wrong: readonly (readonly [readonly AttachedDevice[], object])[] = [
    [[attach(data, { type: 'vfio-ap' })], { kind: 'unimplemented', message: /vfio-ap/ }],
    [[attach(data, { type: 'vfio-pci' })], { kind: 'invalid', message: /has no PCI device with a path/ }],
    [[attach(data, { type: 'blk-ccw' })], { kind: 'unimplemented', message: /blk-ccw/ }],
    [[attach(data, { type: '' })], { kind: 'invalid' }],
    [[attach(data, { id: '', vmPath: '' })], { kind: 'invalid', message: /no id and no vm_path/ }],
    [[attach(data, { vmPath: '/dev/null' })], { kind: 'not-found' }],
    [[attach(data, { vmPath: '/dev/../etc/passwd' })], { kind: 'invalid' }],
    [[attach(data, { containerPath: '/dev/else' })], { kind: 'refused' }],
    [[attach(data), attach(data)], { kind: 'invalid', message: /two devices/ }],
    [[], { kind: 'refused', message: /"\/dev\/data" \(b 7:250\)/ }],
  ];
  for (const [devices, expected] of wrong)
    await assert.rejects(output('true', { devices }), expected, JSON.stringify(devices));
  await settled();
  assert.deepEqual(real.traces(), before);
});
