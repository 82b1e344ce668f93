import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type GuestAccess, openAccess } from '../guest-access.js';
import { sourcePlace } from './source-place.js';

const paths = { kata: '/run/kata-containers', state: '/run/kata-agent', dev: '/dev', sys: '/sys' };
const closed: GuestAccess = { ...openAccess, privileged: 'refuse' };

function place(path: string, access: GuestAccess = closed, container: string | undefined = 'c1') {
  return sourcePlace({ path, named: 'source', container }, { paths, access });
}

test("sources of the runtimes are opened below Kata's directory", () => {
  for (const below of [
    'shared/containers/c1/rootfs',
    'shared/containers/passthrough/c1/rootfs',
    'shared/containers/c1-0a1b-resolv.conf',
    'shared/containers/watchable/config',
    'shared/containers/sandbox/rootfs/local/data',
    'shared/rafs/c1/lowerdir',
    'sandbox/shm',
    'sandbox/ephemeral/cache',
    'sandbox/storage/MDIvMDE=',
    'virtual-volumes/MDIvMDE=',
    'c1/rootfs',
    'c1/fs',
  ])
    assert.deepEqual(place(`/run/kata-containers/${below}`), {
      base: '/run/kata-containers',
      below,
      path: `/run/kata-containers/${below}`,
      writable: true,
      kind: 'kata',
    });
});

test('a root is at the runtimes’ path for the root of this container', () => {
  const root = (path: string, container = 'c1') =>
    sourcePlace({ path, named: 'root.path', container, isRoot: true }, { paths, access: closed });
  for (const below of [
    'c1/rootfs',
    'shared/containers/c1',
    'shared/containers/c1/rootfs',
    'shared/containers/passthrough/c1/rootfs',
  ])
    assert.equal(root(`/run/kata-containers/${below}`).below, below);
  for (const below of [
    'shared/containers/image-one',
    'shared/containers/images/c1/rootfs',
    'shared/containers/c1/rootfs/sub',
    'shared/containers/passthrough/c1',
    'shared/containers/c2/rootfs',
    'sandbox/storage/c1',
    'virtual-volumes/c1',
  ])
    assert.throws(() => root(`/run/kata-containers/${below}`), { kind: 'refused' }, below);
});

test('directories of several containers, and roots of other ones, are refused', () => {
  for (const below of [
    'shared/containers/passthrough',
    'shared/containers/passthrough/watchable',
    'shared/containers/watchable',
    'shared/containers/rafs',
    'shared/containers/c2/rootfs',
    'shared/containers/c2/rootfs/etc',
    'shared/containers/c2/rootfs/local',
    'shared/containers/passthrough/c2/rootfs',
  ])
    for (const container of ['c1', undefined])
      assert.throws(
        () =>
          sourcePlace(
            { path: `/run/kata-containers/${below}`, named: 'source', container },
            { paths, access: closed },
          ),
        { kind: 'refused' },
        below,
      );
});

test("the rest of Kata's directory, other containers and the state are refused under any configuration", () => {
  const all: GuestAccess = { ...openAccess, paths: [{ path: '/run', writable: true }] };
  for (const access of [closed, openAccess, all])
    for (const path of [
      '/run/kata-containers',
      '/run/kata-containers/shared',
      '/run/kata-containers/shared/containers',
      '/run/kata-containers/./shared//containers/',
      '/run/kata-containers/shared/rafs/c1',
      '/run/kata-containers/sandbox',
      '/run/kata-containers/sandbox/resolv.conf',
      '/run/kata-containers/sandbox/storage',
      '/run/kata-containers/c2/rootfs',
      '/run/kata-containers/c1',
      '/run/kata-agent',
      '/run',
      '/',
      '/run/kata-agent/audit.log',
    ])
      assert.throws(() => place(path, access), { kind: 'refused' }, path);
  const ofSandbox = { path: '/run/kata-containers/c1/rootfs', named: 'source', container: undefined };
  assert.throws(() => sourcePlace(ofSandbox, { paths, access: closed }), { kind: 'refused' });
});

test('elsewhere only listed paths are allowed, read-only by default', () => {
  const access: GuestAccess = {
    ...closed,
    paths: [
      { path: '/opt', writable: false },
      { path: '/opt/cache', writable: true },
      { path: '/sys/fs/cgroup', writable: false },
    ],
    devices: [{ kind: 'path', path: '/dev/net/tun' }],
  };
  assert.deepEqual(place('/opt/models/a', access), {
    base: '/opt',
    below: 'models/a',
    path: '/opt/models/a',
    writable: false,
    kind: 'listed',
  });
  assert.equal(place('/opt', access).below, '');
  assert.equal(place('/sys/fs/cgroup/cpu', access).kind, 'kernel');
  assert.equal(place('/opt/cache/x', access).writable, true);
  assert.equal(place('/opt/cache', access).base, '/opt/cache');
  assert.deepEqual(place('/dev/net/tun', access), {
    base: '/dev',
    below: 'net/tun',
    path: '/dev/net/tun',
    writable: true,
    kind: 'device',
  });
  for (const path of ['/etc', '/optional', '/opt2/x', '/dev/net', '/dev/mem', '/proc/1/root', '/sys'])
    assert.throws(() => place(path, access), { kind: 'refused', message: /guest_paths/ }, path);
});

test("a privileged container may use any path except the agent's", () => {
  assert.deepEqual(place('/etc/hosts', openAccess), {
    base: '/',
    below: 'etc/hosts',
    path: '/etc/hosts',
    writable: true,
    kind: 'guest',
  });
  for (const path of ['/', '/run', '//run/'])
    assert.throws(() => place(path, openAccess), { kind: 'refused' });
});

test('no spelling of a path escapes its directory', () => {
  for (const path of ['', 'etc', '../etc', '/opt/../etc', '/run/kata-containers/..', '/a\0b'])
    assert.throws(() => place(path, openAccess), { kind: 'invalid' }, path);
  const name = fc.constantFrom(
    '',
    '.',
    'shared',
    'containers',
    'sandbox',
    'storage',
    'c1',
    'c2',
    'run',
    'kata-containers',
    'kata-agent',
    'etc',
  );
  fc.assert(
    fc.property(fc.array(name, { maxLength: 8 }), (names) => {
      const path = `/${names.join('/')}`;
      const clean = `/${names.filter((each) => each !== '' && each !== '.').join('/')}`;
      const outcome = (text: string): unknown => {
        try {
          return place(text);
        } catch {
          return 'refused';
        }
      };
      assert.deepEqual(outcome(path), outcome(clean));
      const found = outcome(path);
      if (found === 'refused') return;
      // Without lists in the configuration, every allowed source is strictly below one of the runtimes' directories.
      assert.match(
        clean,
        /^\/run\/kata-containers\/(shared\/containers\/.|shared\/rafs\/.+\/.|sandbox\/shm|sandbox\/storage\/.|c1\/.)/,
      );
    }),
  );
});
