import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Storage } from '../request/actions.js';
import { reservedPathsOf } from './reserved-paths.js';

const kata = '/kata';
const storage = (mountPoint: string, source: string, ...options: readonly string[]): Storage => ({
  driver: 'bind',
  driverOptions: [],
  source,
  fstype: 'bind',
  options,
  shared: false,
  mountPoint,
});
const bind = (source: string) => ({ destination: '/m', type: 'bind', source, options: ['rbind'] });

test('a container is made of its root, its mounts, its storages and what these are made of', () => {
  const inPlace = [
    storage('/kata/sandbox/storage/x', '/kata/shared/containers/x/'),
    storage('/kata/shared/containers/x', '/kata/shared/containers/deep'),
    storage('/kata/sandbox/storage/other', '/kata/shared/containers/other'),
  ];
  const spec = {
    ociVersion: '',
    root: { path: '/kata//shared/containers/./c/rootfs' },
    mounts: [bind('/kata/sandbox/storage/x/part'), { destination: '/t', type: 'tmpfs', source: '/not/one' }],
  };
  const { roots, sources } = reservedPathsOf({ id: 'c', spec, storages: [] }, inPlace, kata);
  assert.deepEqual(roots, ['/kata/shared/containers/c/rootfs']);
  assert.deepEqual([...sources].sort(), [
    '/kata/sandbox/storage/x/part',
    '/kata/shared/containers/deep',
    '/kata/shared/containers/x',
  ]);
});

test('the directory of an emptyDir is a source, whatever the options of its mount', () => {
  const place = '/kata/shared/containers/pod/rootfs/local/empty';
  const local = { ...storage(place, 'local'), driver: 'local', fstype: 'local' };
  for (const options of [[], ['rbind', 'rw']]) {
    const mounts = [{ destination: '/scratch', type: 'local', source: place, options }];
    const { sources } = reservedPathsOf(
      { id: 'c', spec: { ociVersion: '', mounts }, storages: [local] },
      [],
      kata,
    );
    assert.deepEqual(sources, [place]);
  }
});

test('a root that a storage mounts is made of its layers', () => {
  const root = storage('/kata/c/rootfs', 'overlay', 'lowerdir=/kata/shared/containers/l1:/kata/l2', 'x=y');
  const spec = { ociVersion: '', root: { path: '/elsewhere' } };
  const { roots } = reservedPathsOf({ id: 'c', spec, storages: [root] }, [], kata);
  assert.deepEqual([...roots].sort(), ['/kata/c/rootfs', '/kata/l2', '/kata/shared/containers/l1']);
});
