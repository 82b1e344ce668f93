import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSystemdScope, parseSystemdScope, scopePath } from './cgroup-path.js';

const pathOf = (cgroupsPath: string): string | undefined => {
  const scope = parseSystemdScope(cgroupsPath, 'c1');
  if (scope === undefined) return undefined;
  checkSystemdScope(scope);
  return scopePath(scope);
};

test('slice:prefix:name is a scope in the slice, which is in those of its name', () => {
  for (const [cgroupsPath, path] of [
    // The case of Kata's own test (rustjail/src/cgroups/systemd/cgroups_path.rs).
    ['system.slice:kata_agent:123', '/system.slice/kata_agent-123.scope'],
    [
      'kubepods-besteffort-pod1.slice:cri-containerd:9f',
      '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-9f.scope',
    ],
    [':crio:9f', '/system.slice/crio-9f.scope'],
    ['-.slice:libpod:9f', '/libpod-9f.scope'],
    ['::', '/system.slice/kata_agent-c1.scope'],
    ['a.b.slice::c', '/a.b.slice/-c.scope'],
    ['a.slice:b..:c.service', '/a.slice/b..-c.service.scope'],
  ] as const)
    assert.equal(pathOf(cgroupsPath), path, cgroupsPath);
});

test('other forms are paths of the file system', () => {
  for (const path of [
    '',
    '/a/b',
    'a.slice:b',
    'a.slice:b:c:d',
    '/a.slice:b:c',
    'a.slice:b/c:d',
    'a.slice:b:c\n',
    'a.slice:b:c\\x2d',
    'a.slice:b:é',
  ])
    assert.equal(pathOf(path), undefined, path);
});

test('a scope that systemd cannot have is refused', () => {
  for (const [cgroupsPath, message] of [
    ['pod:cri:c', /"pod" is not the name of a slice/],
    ['kata-agent.service:cri:c', /not the name of a slice/],
    ['.slice:cri:c', /not the name of a slice/],
    ['-a.slice:cri:c', /not the name of a slice/],
    ['a-.slice:cri:c', /not the name of a slice/],
    ['a--b.slice:cri:c', /not the name of a slice/],
    ['a.slice:cri:', /name of the scope is empty/],
    ['a.slice:cri:b.slice', /the name is that of a slice/],
    ['a.slice:..:b', /systemd writes the cgroup of "\.\.-b\.scope" with another name/],
    ['a.slice:_x:b', /another name/],
    ['a.slice:cpu.a:b', /another name/],
    ['memory.slice:a:b', /another name/],
    ['_a.slice:a:b', /another name/],
    [`a.slice:cri:${'n'.repeat(246)}`, /more than 255 characters/],
    [`${'s'.repeat(250)}.slice:cri:c`, /more than 255 characters/],
  ] as const)
    assert.throws(() => pathOf(cgroupsPath), { kind: 'invalid', message }, cgroupsPath);
  assert.equal(pathOf(`a.slice:cri:${'n'.repeat(245)}`)?.length, '/a.slice/'.length + 255);
});
