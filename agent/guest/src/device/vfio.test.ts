import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import type { AttachedDevice } from '../request/actions.js';
import { makeTree } from '../testing/tree.js';
import { attachments, wantedDevices } from './attach-devices.js';
import { pciAddress } from './pci-path.js';
import { withGuestAddresses } from './pci-environment.js';
import { VfioDevices } from './vfio-devices.js';
import { vfioRequest } from './requested-devices.js';

const trees: string[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true });
});

const address = '0000:01:00.0';
const inBus = `sys/bus/pci/devices/${address}`;
const inTree = `sys/devices/pci0000:00/0000:00:02.0/${address}`;

/** A sysfs with one device behind a bridge, in IOMMU group 12. */
function machine(files: Readonly<Record<string, string>> = {}) {
  const root = makeTree({
    'dev/x': '',
    'sys/devices/pci0000:00/0000:00:02.0/class': '0x060400\n',
    'sys/devices/pci0000:00/0000:00:02.0/pci_bus/0000:01/x': '',
    [`${inTree}/class`]: '0x020000\n',
    [`${inTree}/vendor`]: '0x15b3\n',
    [`${inBus}/driver_override`]: '(null)\n',
    'sys/bus/pci/drivers_probe': '',
    'sys/bus/pci/drivers/vfio-pci/unbind': '',
    'sys/bus/pci/drivers/mlx5_core/unbind': '',
    ...files,
  });
  trees.push(root);
  const link = (target: string, path: string): void => {
    rmSync(join(root, path), { force: true });
    symlinkSync(target, join(root, path));
  };
  link('../../../../kernel/iommu_groups/12', `${inBus}/iommu_group`);
  const taken: string[] = [];
  const disks = {
    take: async (disk: string) => {
      taken.push(disk);
      if (disk.endsWith('used')) throw new GuestError('refused', `the disk ${disk} is in use in the guest`);
      return () => undefined;
    },
  };
  const roots = { sys: join(root, 'sys'), dev: join(root, 'dev') };
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const drivenBy = (name: string): void => link(`../../drivers/${name}`, `${inBus}/driver`);
  return { root, roots, read, link, drivenBy, taken, vfio: new VfioDevices(roots, disks) };
}

const requested = (type: string, options: readonly string[]): AttachedDevice => ({
  id: 'vfio17',
  type,
  vmPath: '',
  containerPath: '/dev/vfio/17',
  options,
});

test('PCI addresses are written as the kernel writes them', () => {
  assert.equal(pciAddress('0000:1A:01.0'), '0000:1a:01.0');
  assert.equal(pciAddress('0:1:2.3'), '0000:01:02.3');
  assert.equal(pciAddress('0000:1a:01'), '0000:1a:01.0');
  for (const wrong of [
    '',
    '1a:01.0',
    '0000:1a:20.0',
    '0000:1a:01.8',
    '0000:1a:01.0.0',
    '00000:1a:01.0',
    'x:1:1.0',
  ])
    assert.equal(pciAddress(wrong), undefined, wrong);
});

// The cases of Kata 4.1, src/agent/src/device/mod.rs, test_update_env_pci and those after it.
test('variables of SR-IOV device plug-ins get the guest’s addresses, as in Kata’s tests', () => {
  const addresses = new Map([
    ['0000:1a:01.0', '0000:01:01.0'],
    ['0000:1b:02.0', '0000:01:02.0'],
    ['0000:01:01.0', 'ffff:02:1f.7'],
  ]);
  const info = (a: string, b: string): string =>
    `PCIDEVICE_x_INFO={"${a}":{"generic":{"deviceID":"${a}"}},"${b}":{"generic":{"deviceID":"${b}"}}}`;
  const env = [
    'PCIDEVICE_x=0000:1a:01.0,0000:1b:02.0',
    info('0000:1a:01.0', '0000:1b:02.0'),
    'PCIDEVICE_y=0000:01:01.0',
    'NOTAPCIDEVICE_blah=abcd:ef:01.0',
  ];
  assert.deepEqual(withGuestAddresses(env, addresses), [
    'PCIDEVICE_x=0000:01:01.0,0000:01:02.0',
    info('0000:01:01.0', '0000:01:02.0'),
    'PCIDEVICE_y=ffff:02:1f.7',
    'NOTAPCIDEVICE_blah=abcd:ef:01.0',
  ]);
});

test('variables with other values, or an unknown address, are unchanged with their descriptions', () => {
  const addresses = new Map([['0000:1a:01.0', '0000:01:01.0']]);
  const env = [
    'PCIDEVICE_NVIDIA_COM_BF_SF=mlx5_core.sf.10',
    'PCIDEVICE_NVIDIA_COM_BF_SF_INFO={"mlx5_core.sf.10":{}}',
    'PCIDEVICE_RES=0000:1a:01.0,0000:99:19.0',
    'PCIDEVICE_RES_INFO={"0000:1a:01.0":{},"0000:99:19.0":{}}',
    'PCIDEVICE_ONLY_INFO={"0000:1a:01.0":{}}',
    'PCIDEVICE_EMPTY=',
    'no entry',
  ];
  assert.deepEqual(withGuestAddresses(env, addresses), env);
  assert.deepEqual(withGuestAddresses(env, new Map()), env);
});

test('addresses that are both of the host and of the guest are exchanged at once', () => {
  const addresses = new Map([
    ['0000:01:00.0', '0000:02:00.0'],
    ['0000:02:00.0', '0000:01:00.0'],
  ]);
  assert.deepEqual(
    withGuestAddresses(
      ['PCIDEVICE_a=0000:01:00.0,0000:02:00.0', 'PCIDEVICE_a_INFO=0000:01:00.0 0000:02:00.0'],
      addresses,
    ),
    ['PCIDEVICE_a=0000:02:00.0,0000:01:00.0', 'PCIDEVICE_a_INFO=0000:02:00.0 0000:01:00.0'],
  );
});

test('a device is found by its path in the guest; one without a path is skipped', () => {
  const { roots } = machine();
  const options = ['0000:1A:01.0=02/00', '0000:1a:01.1='];
  const { functions } = vfioRequest('vfio-pci-gk', requested('vfio-pci-gk', options));
  assert.deepEqual(
    functions.map(({ host, directory }) => [host, directory.find(roots)]),
    [['0000:1a:01.0', join(roots.sys, `devices/pci0000:00/0000:00:02.0/${address}`)]],
  );
  const absent = wantedDevices([requested('vfio-pci', ['0000:1a:01.0=02/01'])]);
  assert.deepEqual(
    absent.map(({ what, find }) => [what, find(roots)]),
    [['a PCI device at path 02/01', undefined]],
  );
  for (const wrong of ['', '0000:1a:01.0', '0000:1a:01.0=02/01=x', '1a=02', '=02', '0000:1a:01.0=../..'])
    assert.throws(() => attachments([requested('vfio-pci', [wrong])]), { kind: 'invalid' }, wrong);
});

test('a device is taken from its driver, and given back to any', () => {
  const { vfio, read, root, drivenBy } = machine();
  drivenBy('mlx5_core');
  const release = vfio.register(address, 'a');
  vfio.bind(address);
  assert.equal(read(`${inBus}/driver_override`), 'vfio-pci');
  assert.equal(read('sys/bus/pci/drivers/mlx5_core/unbind'), address);
  assert.equal(read('sys/bus/pci/drivers_probe'), address);
  assert.equal(vfio.groupOf(address), 12);
  drivenBy('vfio-pci');
  writeFileSync(join(root, 'sys/bus/pci/drivers_probe'), '');
  release();
  assert.equal(read(`${inBus}/driver_override`), '\n');
  assert.equal(read('sys/bus/pci/drivers/vfio-pci/unbind'), address);
  assert.equal(read('sys/bus/pci/drivers_probe'), address);
  rmSync(join(root, inBus), { recursive: true });
  vfio.giveBack(address);
});

test('a device without a driver, and one that vfio-pci has, is not unbound', () => {
  const { vfio, read } = machine();
  vfio.bind(address);
  assert.equal(read(`${inBus}/driver_override`), 'vfio-pci');
  assert.equal(read('sys/bus/pci/drivers_probe'), address);
  const second = machine();
  second.drivenBy('vfio-pci');
  second.vfio.bind(address);
  assert.equal(second.read(`${inBus}/driver_override`), '(null)\n');
  assert.equal(second.read('sys/bus/pci/drivers_probe'), '');
});

test('a device that is only half given to vfio-pci is given back too', () => {
  const { vfio, read, root } = machine();
  writeFileSync(join(root, `${inBus}/driver_override`), 'vfio-pci\n');
  vfio.giveBack(address);
  assert.equal(read(`${inBus}/driver_override`), '\n');
  assert.equal(read('sys/bus/pci/drivers_probe'), address);
});

test('without an IOMMU group or the driver vfio-pci a device is refused with the remedy', () => {
  const { vfio, root } = machine();
  rmSync(join(root, `${inBus}/iommu_group`));
  assert.throws(() => vfio.groupOf(address), { kind: 'precondition', message: /has no IOMMU group; help:/ });
  mkdirSync(join(root, `${inBus}/iommu_group`));
  assert.throws(() => vfio.groupOf(address), { kind: 'precondition' });
  rmSync(join(root, 'sys/bus/pci/drivers/vfio-pci'), { recursive: true });
  assert.throws(() => vfio.bind(address), { kind: 'precondition', message: /no driver vfio-pci/ });
});

test('devices that the guest or another container uses are refused by address', async () => {
  const check = (files: Readonly<Record<string, string>>, before?: (vfio: VfioDevices) => void) => {
    const { vfio, roots } = machine(files);
    before?.(vfio);
    vfio.check(join(roots.sys, `devices/pci0000:00/0000:00:02.0/${address}`), 'b');
  };
  check({});
  const refused: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'is a bridge': { [`${inTree}/class`]: '0x060400\n' },
    'is a virtio device': { [`${inTree}/vendor`]: '0x1af4\n' },
    'is the network interface eth1 of the guest, which is up': {
      [`${inTree}/net/eth1/x`]: '',
      'sys/class/net/eth1/flags': '0x1003\n',
    },
  };
  for (const [reason, files] of Object.entries(refused))
    assert.throws(() => check(files), {
      kind: 'refused',
      message: new RegExp(`^PCI device 0000:01:00\\.0 ${reason}`),
    });
  const takeDisks = async (files: Readonly<Record<string, string>>): Promise<readonly string[]> => {
    const { vfio, roots, taken } = machine(files);
    const directory = join(roots.sys, `devices/pci0000:00/0000:00:02.0/${address}`);
    await vfio.takeDisks(directory, new UndoStack());
    return taken;
  };
  const disk = { [`${inTree}/block/sdused/x`]: '', 'dev/sdused': '' };
  await assert.rejects(takeDisks(disk), { kind: 'refused', message: /sdused is in use in the guest/ });
  const free = {
    [`${inTree}/block/sda/x`]: '',
    'dev/sda': '',
    [`${inTree}/net/eth1/x`]: '',
    'sys/class/net/eth1/flags': '0x1002\n',
  };
  check(free);
  assert.equal((await takeDisks(free)).length, 1);
  assert.throws(() => check({}, (vfio) => void vfio.register(address, 'a')), {
    kind: 'refused',
    message: /is a device of container a/,
  });
  check({}, (vfio) => void vfio.register(address, 'b'));
  check({}, (vfio) => vfio.register(address, 'a')());
});

test('a device in the IOMMU group of a device of another container is refused', () => {
  const second = '0000:01:00.1';
  const { vfio, roots, link } = machine({ [`sys/bus/pci/devices/${second}/driver_override`]: '(null)\n' });
  link('../../../../kernel/iommu_groups/12', `sys/bus/pci/devices/${second}/iommu_group`);
  const check = (container: string): void =>
    vfio.check(join(roots.sys, `devices/pci0000:00/0000:00:02.0/${address}`), container);
  const release = vfio.register(second, 'a');
  assert.throws(() => check('b'), {
    kind: 'refused',
    message: /is in IOMMU group 12 with 0000:01:00\.1, a device of container a/,
  });
  check('a');
  release();
  check('b');
});
