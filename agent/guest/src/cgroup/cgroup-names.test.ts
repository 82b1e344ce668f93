import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CgroupNames, cgroupNameOf } from './cgroup-names.js';

const inFileSystem = (path: string) => ({ path, isScope: false }) as const;

test('a cgroup and its children belong to one container', () => {
  const names = new CgroupNames('/no/such/root', ['/', '/system.slice/kata-agent.service']);
  const release = names.take(inFileSystem('/pod/one'));
  names.take(inFileSystem('/pod/two'));
  names.take(inFileSystem('/pod/one-more'));
  for (const name of ['/pod/one', '/pod', '/pod/one/below'])
    assert.throws(() => names.take(inFileSystem(name)), { kind: 'exists' }, name);
  for (const name of ['/system.slice', '/system.slice/kata-agent.service/x'])
    assert.throws(() => names.take(inFileSystem(name)), { kind: 'refused' }, name);
  release();
  names.take(inFileSystem('/pod/one/below'));
});

for (const [version, hierarchy] of [
  [1, 'freezer'],
  [2, ''],
] as const)
  test(`a cgroup that is not empty is refused (v${version})`, (context) => {
    const root = mkdtempSync(join(tmpdir(), 'guest-cgroups-'));
    context.after(() => rmSync(root, { recursive: true }));
    if (version === 2) writeFileSync(join(root, 'cgroup.controllers'), '');
    const make = (name: string, processes = ''): void => {
      mkdirSync(join(root, hierarchy, name), { recursive: true });
      writeFileSync(join(root, hierarchy, name, 'cgroup.procs'), processes);
    };
    mkdirSync(join(root, 'pids'));
    make('kubepods');
    make('kubepods/empty');
    make('system.slice');
    make('system.slice/sshd.service', '17\n18\n');
    const names = new CgroupNames(root, ['/']);
    for (const [name, message] of [
      [
        '/system.slice/sshd.service',
        /in use: .*\/system\.slice\/sshd\.service contains process 17; help: set cgroupsPath/,
      ],
      ['/system.slice', /in use: .*\/system\.slice contains the cgroup "sshd.service"/],
    ] as const)
      assert.throws(() => names.take(inFileSystem(name)), { kind: 'refused', message });
    for (const name of [
      '/kubepods/empty',
      '/kubepods/new',
      `/kubepods/${'a'.repeat(300)}`,
      '/system.slice/new',
    ])
      names.take(inFileSystem(name))();
    names.reclaim('/system.slice/sshd.service');
    assert.throws(() => names.take(inFileSystem('/system.slice/sshd.service')), { kind: 'exists' });
  });

test('a scope has a name that no other unit and no other container has', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'guest-scopes-'));
  context.after(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, 'cgroup.controllers'), '');
  const make = (name: string): void => {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, 'cgroup.procs'), '');
  };
  make('user.slice/user-0.slice/session-1.scope');
  make('system.slice/kata-empty.scope');
  // Not in a slice, so no unit: a container has created it in its own cgroup.
  make('system.slice/kata-other.scope/kata-free.scope');
  const names = new CgroupNames(root, ['/system.slice/kata-agent.service']);
  const scope = (path: string) => ({ path, isScope: true }) as const;
  assert.throws(() => names.take(scope('/system.slice/session-1.scope')), {
    kind: 'refused',
    message: /the unit "session-1\.scope" is in use: .*\/user-0\.slice\/session-1\.scope exists; help: set/,
  });
  names.take(scope('/system.slice/kata-empty.scope'));
  names.take(scope('/system.slice/kata-free.scope'));
  // Its processes have ended, and systemd has removed its cgroup.
  const release = names.take(scope('/a.slice/kata-c1.scope'));
  assert.throws(() => names.take(scope('/b.slice/kata-c1.scope')), {
    kind: 'exists',
    message: /the unit "kata-c1\.scope" is in use by another container, whose cgroup is "\/a\.slice/,
  });
  names.take(inFileSystem('/b.slice/kata-c1.scope'))();
  const releaseDotted = names.take(scope('/a.slice/kata-x.y.scope'));
  assert.throws(() => names.take(scope('/a.slice/kata-x_y.scope')), { kind: 'exists' });
  releaseDotted();
  names.take(scope('/a.slice/kata-x_y.scope'));
  release();
  names.take(scope('/b.slice/kata-c1.scope'));
});

test('the name of a cgroup is its path below the mount point', () => {
  const directory = '/sys/fs/cgroup/pod/one';
  assert.equal(cgroupNameOf({ version: 2, directory }, '/sys/fs/cgroup'), '/pod/one');
  const controllers = new Map([['pids', '/sys/fs/cgroup/pids/pod/one']]);
  assert.equal(cgroupNameOf({ version: 1, controllers }, '/sys/fs/cgroup'), '/pod/one');
});
