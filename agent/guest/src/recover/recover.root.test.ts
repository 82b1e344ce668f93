import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mounts } from '@kata-agent/linux';
import { execProcess } from '../perform/processes.js';
import { createSandbox, destroySandbox } from '../perform/sandbox.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, skip } from '../testing/real-guest.js';
import { makeTree } from '../testing/tree.js';

const mountsIn = (directory: string): readonly string[] =>
  mounts()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(directory));

/** Runs code with a guest `real` in a process that is then killed. */
async function killedAfter(
  directory: string,
  code: string,
  paths: Readonly<Record<string, string>> = {},
): Promise<void> {
  const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { RealGuest } from ${at('../testing/real-guest.js')};
    import { createSandbox } from ${at('../perform/sandbox.js')};
    const real = await RealGuest.open({ paths: ${JSON.stringify(paths)} }, ${JSON.stringify(directory)});
    ${code}
    console.log('done');
  `;
  const doomed = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(doomed, 'exit');
  await Promise.race([once(doomed.stdout, 'data'), exit]);
  assert.equal(doomed.exitCode, null, 'it was still running when it was killed');
  doomed.kill('SIGKILL');
  await exit;
}

test('a watched directory is still watched after a restart, and missed changes are seen at once', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const source = join(directory, 'source');
  mkdirSync(source);
  for (const name of ['changes', 'goes', 'stays']) writeFileSync(join(source, name), 'old');
  const place = join(directory, 'kata/shared/containers/watchable/config');
  const storage = {
    driver: 'watchable-bind',
    driverOptions: [],
    source,
    fstype: 'bind',
    options: ['ro'],
    mountPoint: place,
    shared: false,
  };
  const action = { sandboxId: 'pod', hostname: 'pod', dns: [], storages: [storage] };
  await killedAfter(directory, `await createSandbox(real.guest, ${JSON.stringify(action)});`);
  assert.deepEqual(readdirSync(place).sort(), ['changes', 'goes', 'stays']);
  writeFileSync(join(source, 'changes'), 'new');
  rmSync(join(source, 'goes'));
  const next = await RealGuest.open({}, directory);
  try {
    assert.equal(next.guest.sandbox.id, 'pod');
    assert.deepEqual(readdirSync(place).sort(), ['changes', 'stays']);
    assert.equal(readFileSync(join(place, 'changes'), 'utf8'), 'new');
    assert.equal(mountsIn(next.kata).length, 1, 'the tmpfs of the copies');
    await destroySandbox(next.guest);
    assert.deepEqual(mountsIn(next.kata), []);
    assert.ok(!existsSync(join(next.state, 'storages.json')));
    assert.ok(!existsSync(join(next.state, 'sandbox.json')));
  } finally {
    await next.close();
  }
});

test('huge pages are released with their storage, also if the agent that reserved them was killed', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const file = 'kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
  const sys = makeTree({ [file]: '1\n' });
  const pages = (): string => readFileSync(join(sys, file), 'utf8').trim();
  const storage = {
    driver: 'ephemeral',
    driverOptions: [],
    source: 'nodev',
    fstype: 'hugetlbfs',
    options: ['pagesize=2097152', 'size=4194304'],
    mountPoint: join(directory, 'kata/sandbox/ephemeral/huge'),
    shared: false,
  };
  const action = { sandboxId: 'pod', hostname: 'pod', dns: [], storages: [storage] };
  await killedAfter(directory, `await createSandbox(real.guest, ${JSON.stringify(action)});`, { sys });
  assert.equal(pages(), '3');
  const next = await RealGuest.open({ paths: { sys } }, directory);
  try {
    await destroySandbox(next.guest);
    assert.equal(pages(), '1');
    await createSandbox(next.guest, { ...action, sandboxId: 'next' });
    assert.equal(pages(), '3');
    await destroySandbox(next.guest);
    assert.equal(pages(), '1');
  } finally {
    await next.close();
    rmSync(sys, { recursive: true });
  }
});

test('the namespaces of the pod outlive the agent and the container that created them', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const action = { sandboxId: 'pod', hostname: 'pod', dns: [], storages: [] };
  const show = ['sh', '-c', 'readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts'];
  await killedAfter(
    directory,
    `await createSandbox(real.guest, ${JSON.stringify(action)});
     await real.run(['sleep', '1000'], { id: 'first' });`,
  );
  const next = await RealGuest.open({}, directory);
  try {
    const { pid } = next.guest.container('first').first;
    const had = ['ipc', 'uts'].map((type) => `${readlinkSync(`/proc/${pid}/ns/${type}`)}\n`).join('');
    await next.remove('first');
    assert.equal((await next.readAll(await next.run(show))).toString(), had);
    await destroySandbox(next.guest);
    assert.deepEqual(next.traces().mounts, []);
  } finally {
    await next.close();
  }
});

test('a disk that a container of an earlier agent has as a device is not mounted', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const disk = new LoopDevice(1024 * 1024);
  try {
    await killedAfter(
      directory,
      `
      const spec = real.spec(['sleep', '1000']);
      const node = { path: '/dev/data', type: 'b', major: 7, minor: 0 };
      const path = ${JSON.stringify(disk.path)};
      const device = { id: path, type: 'mmioblk', vmPath: path, containerPath: '/dev/data', options: [] };
      await real.run([], { id: 'holder', devices: [device], spec: { ...spec, linux: { ...spec.linux, devices: [node] } } });
      `,
    );
    const next = await RealGuest.open({}, directory);
    try {
      const { disks } = next.guest.context;
      await assert.rejects(disks.take(disk.path), {
        kind: 'refused',
        message: /a device of container holder/,
      });
      await next.remove('holder');
      (await disks.take(disk.path))();
    } finally {
      await next.close();
    }
  } finally {
    disk.remove();
  }
});

test('an agent restores the records of containers that an earlier one removed', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  await killedAfter(
    directory,
    `
    const { createContainer } = await import(${JSON.stringify(new URL('../perform/containers.js', import.meta.url).href)});
    const { startContainer } = await import(${JSON.stringify(new URL('../perform/containers.js', import.meta.url).href)});
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = real.id();
    const annotations = { name: 'init' };
    const plain = real.spec(['sh', '-c', 'exit 3']);
    const source = ${JSON.stringify(join(directory, 'kata/sandbox/ephemeral/keys'))};
    const mounts = [...plain.mounts ?? [], { destination: '/keys', type: 'bind', source, options: ['rbind'] }];
    const spec = { ...plain, mounts, annotations };
    const storage = { driver: 'ephemeral', driverOptions: [], source: 'tmpfs', fstype: 'tmpfs', options: [], mountPoint: source, shared: false };
    await createContainer(real.guest, { id, execId: id, spec, storages: [storage], sandboxPidns: false });
    await startContainer(real.guest, id);
    await real.wait(id);
    await real.remove(id);
    `,
  );
  const next = await RealGuest.open({}, directory);
  try {
    assert.deepEqual(next.guest.sandboxStatus, {
      id: 'pod',
      containers: [],
      members: [
        {
          name: 'init',
          state: 'removed',
          exitCode: 3,
          mounts: [{ destination: '/keys', source: join(directory, 'kata/sandbox/ephemeral/keys') }],
        },
      ],
    });
    await destroySandbox(next.guest);
    assert.deepEqual(next.guest.sandboxStatus.members, []);
  } finally {
    await next.close();
  }
});

test('that a call has signalled a container is known after a restart, though it exited with 0', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  await killedAfter(
    directory,
    `
    const { signalProcess } = await import(${JSON.stringify(new URL('../perform/processes.js', import.meta.url).href)});
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = await real.run(['sh', '-c', 'trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done']);
    await real.readUntil('ready', { containerId: id, execId: '' });
    await signalProcess(real.guest, { containerId: id, execId: id, signal: 15 });
    if ((await real.wait(id)) !== 0) throw new Error('it did not exit with 0');
    `,
  );
  const next = await RealGuest.open({}, directory);
  try {
    const codes = (): readonly unknown[] =>
      next.guest.sandboxStatus.members.map(({ state, exitCode }) => [state, exitCode]);
    assert.deepEqual(codes(), [['stopped', undefined]]);
    await next.remove(next.guest.sandboxStatus.containers[0] ?? '');
    assert.deepEqual(codes(), [['removed', undefined]]);
    await destroySandbox(next.guest);
  } finally {
    await next.close();
  }
});

test('the removal of a container of an earlier agent undoes its creation in the order of one of this agent', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const steps = join(directory, 'steps.json');
  await killedAfter(
    directory,
    `
    const { writeFileSync } = await import('node:fs');
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = await real.run(['sleep', '60']);
    writeFileSync(${JSON.stringify(steps)}, JSON.stringify(real.guest.container(id).made.steps));
    `,
  );
  const created = JSON.parse(readFileSync(steps, 'utf8')) as readonly string[];
  const next = await RealGuest.open({}, directory);
  try {
    const [id = ''] = next.guest.sandboxStatus.containers;
    const recovered = next.guest.container(id).made.steps;
    // Those that only a failed creation needs are left out.
    assert.deepEqual(
      created.filter((step) => recovered.includes(step)),
      recovered,
    );
    for (const step of [
      'record',
      'reservation of its paths',
      'what the runtime made',
      'processes',
      'OOM watch',
    ])
      assert.ok(recovered.includes(step), step);
    await next.remove(id);
    await destroySandbox(next.guest);
  } finally {
    await next.close();
  }
});

test('a PCI device of a container of an earlier agent is still its own, and is given back at its removal', {
  skip,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const address = '0000:00:03.0';
  const device = `sys/bus/pci/devices/${address}`;
  const machine = makeTree({
    'dev/vfio/x': '',
    'sys/devices/system/cpu/online': '0\n',
    [`sys/devices/pci0000:00/${address}/class`]: '0x020000\n',
    [`${device}/driver_override`]: '(null)\n',
    'sys/bus/pci/drivers_probe': '',
    'sys/bus/pci/drivers/vfio-pci/unbind': '',
  });
  symlinkSync('/sys/kernel/iommu_groups/12', join(machine, device, 'iommu_group'));
  // The number of /dev/null.
  execFileSync('mknod', [join(machine, 'dev/vfio/12'), 'c', '1', '3']);
  const override = (): string => readFileSync(join(machine, device, 'driver_override'), 'utf8');
  const paths = { sys: join(machine, 'sys'), dev: join(machine, 'dev') };
  const attach = `
    const spec = real.spec(['sleep', '1000']);
    const linux = { ...spec.linux, devices: [{ path: '/dev/vfio/41', type: 'c', major: 243, minor: 0 }] };
    const devices = [
      { id: 'vfio41', type: 'vfio-pci', vmPath: '', containerPath: '/dev/vfio/41', options: ['0000:1a:01.0=03'] },
    ];`;
  await killedAfter(
    directory,
    `${attach}
    await real.run([], { id: 'holder', devices, spec: { ...spec, linux } });`,
    paths,
  );
  assert.equal(override(), 'vfio-pci');
  const next = await RealGuest.open({ paths }, directory);
  try {
    const check = (): void =>
      next.guest.context.vfio.check(join(machine, `sys/devices/pci0000:00/${address}`), 'other');
    assert.throws(check, { kind: 'refused', message: /is a device of container holder/ });
    const env = ['PATH=/bin', 'PCIDEVICE_X=0000:1a:01.0'];
    const process = next.process(['sh', '-c', 'echo $PCIDEVICE_X'], { env });
    await execProcess(next.guest, { containerId: 'holder', execId: 'e', process });
    assert.equal((await next.readAll('holder', 'stdout', 'e')).toString(), `${address}\n`);
    await next.remove('holder');
    assert.equal(override(), '\n');
    check();
  } finally {
    await next.close();
    rmSync(machine, { recursive: true });
  }
});

test('a PCI device of a create that an earlier agent did not finish is given back', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  const device = 'sys/bus/pci/devices/0000:00:03.0';
  const machine = makeTree({ [`${device}/driver_override`]: 'vfio-pci\n', 'sys/bus/pci/drivers_probe': '' });
  await killedAfter(
    directory,
    `real.guest.context.records.saveContainer({
      phase: 'creating', id: 'lost', order: 1, storages: [], pciDevices: ['0000:00:03.0'],
    });`,
  );
  const next = await RealGuest.open({ paths: { sys: join(machine, 'sys') } }, directory);
  try {
    assert.equal(readFileSync(join(machine, device, 'driver_override'), 'utf8'), '\n');
  } finally {
    await next.close();
    rmSync(machine, { recursive: true });
  }
});
