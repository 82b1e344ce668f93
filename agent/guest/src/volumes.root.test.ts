import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createContainer, startContainer } from './perform/containers.js';
import { createSandbox } from './perform/sandbox.js';
import type { Storage } from './request/actions.js';
import { RealGuest, skip } from './testing/real-guest.js';

// Volumes that several containers of a sandbox mount (S38).

test('a watched volume stays until the last container that mounts it is removed, whichever had its storage', {
  skip,
}, async () => {
  const real = await RealGuest.open();
  try {
    real.makeRootfs();
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const share = join(real.kata, 'shared/containers/passthrough');
    const source = join(share, 'sandbox-01234567-settings');
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, 'key'), 'value');
    const mountPoint = join(share, 'watchable/sandbox-01234567-settings');
    const storage: Storage = {
      driver: 'watchable-bind',
      driverOptions: [],
      source,
      fstype: 'bind',
      options: ['rbind', 'ro'],
      mountPoint,
      shared: false,
    };
    const create = async (storages: readonly Storage[]): Promise<string> => {
      const id = real.id();
      const spec = real.spec(['sleep', '600']);
      const mount = { destination: '/settings', type: 'bind', source: mountPoint, options: ['rbind', 'ro'] };
      const mounts = [...(spec.mounts ?? []), mount];
      await createContainer(real.guest, {
        id,
        execId: id,
        spec: { ...spec, mounts },
        storages,
        sandboxPidns: false,
      });
      return id;
    };
    const first = await create([storage]);
    // As runtime-rs sends it: with the mount alone.
    const second = await create([]);
    assert.deepEqual(real.guest.container(second).storages, [mountPoint]);
    await real.remove(first);
    assert.equal(readFileSync(join(mountPoint, 'key'), 'utf8'), 'value');
    await real.remove(second);
    assert.equal(existsSync(join(mountPoint, 'key')), false);
  } finally {
    await real.close();
  }
});

test('rules see the mounts of containers from Kata’s directory, and those of removed ones that the sandbox keeps', {
  skip,
}, async () => {
  const real = await RealGuest.open();
  try {
    real.makeRootfs();
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const kept = join(real.kata, 'sandbox/ephemeral/keys');
    const storage: Storage = {
      driver: 'ephemeral',
      driverOptions: [],
      source: 'tmpfs',
      fstype: 'tmpfs',
      options: [],
      mountPoint: kept,
      shared: false,
    };
    const hosts = join(real.kata, 'shared/containers/hosts');
    mkdirSync(join(real.kata, 'shared/containers'), { recursive: true });
    writeFileSync(hosts, '127.0.0.1 localhost\n');
    const id = real.id();
    const spec = real.spec(['sleep', '600']);
    const bound = [
      { destination: '/keys', type: 'bind', source: kept, options: ['rbind'] },
      { destination: '/etc/hosts', type: 'bind', source: hosts, options: ['rbind', 'ro'] },
    ];
    const mounts = [...(spec.mounts ?? []), ...bound];
    await createContainer(real.guest, {
      id,
      execId: id,
      spec: { ...spec, mounts },
      storages: [storage],
      sandboxPidns: false,
    });
    const seen = (): unknown => real.guest.sandboxStatus.members.map((member) => member.mounts);
    const [ofKeys, ofHosts] = bound.map(({ destination, source }) => ({ destination, source }));
    assert.deepEqual(seen(), [[ofKeys, ofHosts]]);
    await real.remove(id);
    assert.deepEqual(seen(), [[ofKeys]]);
  } finally {
    await real.close();
  }
});

test('a container mounts a volume of the guest several times, with a storage for each mount', {
  skip,
}, async () => {
  const real = await RealGuest.open();
  try {
    real.makeRootfs();
    await createSandbox(real.guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const pod = real.id();
    const [fast, scratch] = [
      join(real.kata, 'sandbox/ephemeral/fast'),
      join(real.kata, `shared/containers/${pod}/rootfs/local/scratch`),
    ];
    const storage = (driver: string, source: string, mountPoint: string): Storage => ({
      driver,
      driverOptions: [],
      source,
      fstype: source,
      options: driver === 'local' ? ['mode=0777'] : [],
      mountPoint,
      shared: false,
    });
    const create = async (id: string, script: string): Promise<string> => {
      const spec = real.spec(['sh', '-c', script]);
      const bound = [
        { destination: '/fast', type: 'bind', source: fast, options: ['rbind', 'rw'] },
        { destination: '/fast-again', type: 'bind', source: fast, options: ['rbind', 'ro'] },
        { destination: '/scratch', type: 'local', source: scratch, options: ['rbind', 'rw'] },
        { destination: '/scratch-again', type: 'local', source: scratch, options: ['rbind', 'rw'] },
      ];
      await createContainer(real.guest, {
        id,
        execId: id,
        spec: { ...spec, mounts: [...(spec.mounts ?? []), ...bound] },
        storages: bound.map(({ type, source }) =>
          type === 'local' ? storage('local', 'local', source) : storage('ephemeral', 'tmpfs', source),
        ),
        sandboxPidns: false,
      });
      return id;
    };
    const first = await create(
      pod,
      'echo one > /fast/a && echo two > /scratch-again/b && ! echo x > /fast-again/c && cat /fast-again/a /scratch/b',
    );
    const second = await create(real.id(), 'cat /fast-again/a /scratch/b');
    const outputOf = async (id: string): Promise<string> => {
      await startContainer(real.guest, id);
      return (await real.readAll(id)).toString();
    };
    assert.equal(await outputOf(first), 'one\ntwo\n');
    await real.remove(first);
    assert.equal(await outputOf(second), 'one\ntwo\n');
    await real.remove(second);
    assert.equal(readFileSync(join(fast, 'a'), 'utf8'), 'one\n');
  } finally {
    await real.close();
  }
});
