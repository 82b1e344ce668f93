import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mounts } from '@kata-agent/linux';
import { createSandbox } from '../perform/create-sandbox.js';
import { destroySandbox } from '../perform/destroy-sandbox.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, skip } from '../testing/real-guest.js';
import { makeTree } from '../testing/tree.js';

const mountsIn = (directory: string): readonly string[] =>
  mounts()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(directory));

/** Runs code with a guest `real` in a process that is killed then. */
async function killedAfter(
  directory: string,
  code: string,
  paths: Readonly<Record<string, string>> = {},
): Promise<void> {
  const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { RealGuest } from ${at('../testing/real-guest.js')};
    import { createSandbox } from ${at('../perform/create-sandbox.js')};
    const real = await RealGuest.open({ paths: ${JSON.stringify(paths)} }, ${JSON.stringify(directory)});
    ${code}
    console.log('done');
  `;
  const doomed = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(doomed, 'exit');
  await Promise.race([once(doomed.stdout, 'data'), exit]);
  assert.equal(doomed.exitCode, null, 'it had done its work when it was killed');
  doomed.kill('SIGKILL');
  await exit;
}

test('a folder that is watched is watched on, and what changed meanwhile is seen at once', {
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
    assert.equal(mountsIn(next.kata).length, 1, 'the memory that the copies lie in');
    await destroySandbox(next.guest);
    assert.deepEqual(mountsIn(next.kata), []);
    assert.ok(!existsSync(join(next.state, 'storages.json')));
    assert.ok(!existsSync(join(next.state, 'sandbox.json')));
  } finally {
    await next.close();
  }
});

test('huge pages of a storage go with it, also when the agent that added them was killed', {
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
      assert.throws(() => disks.take(disk.path), {
        kind: 'refused',
        message: /a device of container holder/,
      });
      await next.remove('holder');
      disks.take(disk.path)();
    } finally {
      await next.close();
    }
  } finally {
    disk.remove();
  }
});

test('an agent knows which containers an earlier one has removed, and how they ended', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kg-'));
  await killedAfter(
    directory,
    `
    const { createContainer } = await import(${JSON.stringify(new URL('../perform/create-container.js', import.meta.url).href)});
    const { startContainer } = await import(${JSON.stringify(new URL('../perform/start-container.js', import.meta.url).href)});
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = real.id();
    const annotations = { 'io.kubernetes.cri.container-name': 'init' };
    const spec = { ...real.spec(['sh', '-c', 'exit 3']), annotations };
    await createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
    await startContainer(real.guest, id);
    await real.wait(id);
    await real.remove(id);
    `,
  );
  const next = await RealGuest.open({}, directory);
  try {
    assert.deepEqual(next.guest.sandboxFacts, {
      id: 'pod',
      containers: [],
      members: [
        { state: 'removed', annotations: { 'io.kubernetes.cri.container-name': 'init' }, exitCode: 3 },
      ],
    });
    await destroySandbox(next.guest);
    assert.deepEqual(next.guest.sandboxFacts.members, []);
  } finally {
    await next.close();
  }
});
