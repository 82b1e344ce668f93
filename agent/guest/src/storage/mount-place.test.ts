import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountPlace, type MountPlaceOwner } from './mount-place.js';

const kata = '/run/kata-containers';
const ofContainer: MountPlaceOwner = { container: 'c1', pod: 'pod', others: ['pod', 'c2'] };
const ofSandbox: MountPlaceOwner = { container: undefined, pod: undefined, others: [] };

function place(driver: string, below: string, owner: MountPlaceOwner = ofContainer): string {
  return mountPlace(driver, `${kata}/${below}`, owner, kata);
}

test('what both runtimes send is a place', () => {
  for (const [driver, below, owner] of [
    ['virtio-fs', 'shared/containers/', ofSandbox],
    ['virtio-fs', 'shared', ofSandbox],
    ['ephemeral', 'sandbox/shm', ofSandbox],
    ['ephemeral', 'sandbox/ephemeral/cache', ofContainer],
    ['local', 'shared/containers/pod/rootfs/local/data', ofContainer],
    ['local', 'shared/containers/passthrough/pod/rootfs/local/data', ofContainer],
    ['blk', 'c1/rootfs', ofContainer],
    ['blk', 'shared/containers/c1', ofContainer],
    ['scsi', 'shared/containers/passthrough/c1/rootfs', ofContainer],
    ['blk', 'sandbox/storage/MDIvMDE=', ofContainer],
    ['mmioblk', 'virtual-volumes/MDIvMDE=', ofContainer],
    ['nvdimm', 'shared/containers/passthrough/dev-1a2b-data', ofContainer],
    ['overlayfs', 'c1/rootfs', ofContainer],
    ['overlayfs', 'shared/containers/c1/rootfs', ofContainer],
    ['watchable-bind', 'shared/containers/watchable/config', ofContainer],
    ['watchable-bind', 'shared/containers/passthrough/watchable/config', ofContainer],
  ] as const)
    assert.equal(place(driver, below, owner), below.replace(/\/$/, ''));
});

test("the agent's files, the share, and what belongs to others are none", () => {
  for (const [driver, below] of [
    ['bind', 'sandbox/resolv.conf'],
    ['bind', 'sandbox'],
    ['bind', 'shared'],
    ['bind', 'shared/containers'],
    ['bind', 'shared/containers/x'],
    ['ephemeral', 'shared/containers/watchable'],
    ['ephemeral', 'sandbox'],
    ['ephemeral', 'sandbox/ephemeral'],
    ['ephemeral', 'sandbox/ephemeral/a/b'],
    ['ephemeral', 'c1/rootfs'],
    ['local', 'shared/containers/c2/rootfs/local/data'],
    ['local', 'shared/containers/pod/rootfs/local'],
    ['blk', 'c2/rootfs'],
    ['blk', 'shared/containers/c2'],
    ['blk', 'shared/containers/c2/rootfs'],
    ['blk', 'c1'],
    ['blk', 'shared/containers/passthrough/c2'],
    ['blk', 'shared/containers/passthrough/watchable'],
    ['blk', 'sandbox/storage/c2'],
    ['overlayfs', 'c2/rootfs'],
    ['overlayfs', 'sandbox/storage/x'],
    ['virtio-fs', 'sandbox'],
    ['virtio-fs', 'shared/containers/c1'],
    ['unknown', 'c1/rootfs'],
  ] as const)
    assert.throws(() => place(driver, below), { kind: 'refused' }, `${driver} ${below}`);
  // A root belongs to a container, never to the sandbox.
  assert.throws(() => place('blk', 'c1/rootfs', ofSandbox), { kind: 'refused' });
  // A pod's local volumes come with a container: before there is one, their path could be any other container's.
  for (const name of ['pod', 'c1', 'undefined'])
    assert.throws(() => place('local', `shared/containers/${name}/rootfs/local/data`, ofSandbox), {
      kind: 'refused',
    });
});

test('no spelling leads elsewhere', () => {
  assert.equal(place('bind', './/sandbox/./storage//x/'), 'sandbox/storage/x');
  for (const path of ['', kata, `${kata}/`, '/run', '/', '/etc', '/run/kata-containers2/sandbox/shm'])
    assert.throws(() => mountPlace('ephemeral', path, ofContainer, kata));
  for (const below of [
    'sandbox/storage/..',
    'sandbox/storage/x/../../y',
    '../kata-agent',
    'sandbox/storage/a\0',
  ])
    assert.throws(() => place('bind', below), { kind: 'invalid' }, below);
});
