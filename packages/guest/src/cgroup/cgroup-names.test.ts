import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CgroupNames, cgroupNameOf } from './cgroup-names.js';

test('a cgroup is one container’s, with all that lies in it', () => {
  const names = new CgroupNames('/no/such/root', ['/', '/system.slice/kata-agent.service']);
  const release = names.take('/pod/one');
  names.take('/pod/two');
  names.take('/pod/one-more');
  for (const name of ['/pod/one', '/pod', '/pod/one/below'])
    assert.throws(() => names.take(name), { kind: 'exists' }, name);
  for (const name of ['/system.slice', '/system.slice/kata-agent.service/x'])
    assert.throws(() => names.take(name), { kind: 'refused' }, name);
  release();
  names.take('/pod/one/below');
});

for (const [version, hierarchy] of [
  [1, 'freezer'],
  [2, ''],
] as const)
  test(`a new container takes no cgroup with something in it (v${version})`, (context) => {
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
        /in use: .*\/system\.slice\/sshd\.service holds process 17; cgroupsPath must/,
      ],
      ['/system.slice', /in use: .*\/system\.slice holds the cgroup "sshd.service"/],
    ] as const)
      assert.throws(() => names.take(name), { kind: 'refused', message });
    for (const name of [
      '/kubepods/empty',
      '/kubepods/new',
      `/kubepods/${'a'.repeat(300)}`,
      '/system.slice/new',
    ])
      names.take(name)();
    names.takeBack('/system.slice/sshd.service');
    assert.throws(() => names.take('/system.slice/sshd.service'), { kind: 'exists' });
  });

test('the name of a cgroup is what the request has it by', () => {
  const directory = '/sys/fs/cgroup/pod/one';
  assert.equal(cgroupNameOf({ version: 2, directory }, '/sys/fs/cgroup'), '/pod/one');
  const controllers = new Map([['pids', '/sys/fs/cgroup/pids/pod/one']]);
  assert.equal(cgroupNameOf({ version: 1, controllers }, '/sys/fs/cgroup'), '/pod/one');
});
