import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import type { Storage } from '../request/actions.js';
import { PathReservations, reservedPathsOf } from './path-reservations.js';
import { UndoStack } from '../undo-stack.js';

const none = { roots: [], sources: [] };
const done = (): Promise<void> => Promise.resolve();

function copyTo(reservations: PathReservations, path: string, signal?: AbortSignal): Promise<void> {
  return reservations.copyWhenFree(path, () => reservations.copy(path, done), signal);
}

test('a copy that waits for a create comes before creates that begin later', async () => {
  const reservations = new PathReservations();
  const secret = { ...none, sources: ['/s/secret'] };
  const steps: string[] = [];
  const free = await reservations.reserve('a', secret, new UndoStack());
  const copying = copyTo(reservations, '/s/secret/file').then(() => steps.push('copied'));
  const reserving = reservations.reserve('b', secret, new UndoStack()).then((freeB) => {
    steps.push('held by b');
    return freeB;
  });
  const other = await reservations.reserve('c', { ...none, sources: ['/s/other'] }, new UndoStack());
  other();
  free();
  await copying;
  (await reserving)();
  assert.deepEqual(steps, ['copied', 'held by b']);
});

test('a create does not wait for ever for a copy that waits', async (t) => {
  const reservations = new PathReservations();
  const secret = { ...none, sources: ['/s/secret'] };
  const free = await reservations.reserve('a', secret, new UndoStack());
  const copying = copyTo(reservations, '/s/secret/file');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const reserving = reservations.reserve('b', secret, new UndoStack());
  t.mock.timers.tick(2_000);
  (await reserving)();
  free();
  await copying;
});

test('nothing is copied into a root, over it or over its parents while the container exists', async () => {
  const reservations = new PathReservations();
  const made = new UndoStack();
  const free = await reservations.reserve('a', { ...none, roots: ['/s/a/rootfs'] }, made);
  free();
  for (const path of ['/s/a/rootfs', '/s/a/rootfs/etc/x', '/s/a'])
    await assert.rejects(reservations.copy(path, done), {
      kind: 'precondition',
      message: `path "${path}" is part of the root of container a: copy before it is created`,
    });
  await reservations.copy('/s/a/rootfs2', done);
  await reservations.copy('/s/a/other', done);
  await assert.rejects(
    reservations.copyWhenFree('/s/a/rootfs', () => reservations.copy('/s/a/rootfs', done), undefined),
    { kind: 'precondition' },
  );
  await made.unwind();
  await reservations.copy('/s/a/rootfs/etc/x', done);
});

test('sources are written again once the container was made, and no create begins while they are', async () => {
  const reservations = new PathReservations();
  const steps: string[] = [];
  let endCopy: () => void = () => undefined;
  const copying = reservations.copy(
    '/s/secret/file',
    () => new Promise<void>((resolve) => (endCopy = resolve)),
  );
  const reserving = reservations
    .reserve('a', { ...none, sources: ['/s/secret'] }, new UndoStack())
    .then((free) => {
      steps.push('held');
      return free;
    });
  const other = await reservations.reserve('b', { ...none, sources: ['/s/other'] }, new UndoStack());
  other();
  await turn();
  assert.equal(steps.length, 0, 'it waits for the copy');
  endCopy();
  await copying;
  const free = await reserving;
  assert.equal(await reservations.copy('/s/secret/file', assert.fail), false);
  const waiting = copyTo(reservations, '/s/secret/file').then(() => steps.push('free'));
  await turn();
  assert.deepEqual(steps, ['held']);
  free();
  await waiting;
  assert.equal(await reservations.copy('/s/secret/file', done), true);
});

test('a create that fails releases its reservations, and no copy waits for ever', async () => {
  const reservations = new PathReservations();
  const made = new UndoStack();
  await reservations.reserve('a', { roots: ['/s/root'], sources: ['/s/secret'] }, made);
  const cancelled = new AbortController();
  const waiting = copyTo(reservations, '/s/secret', cancelled.signal);
  cancelled.abort(new Error('cancelled'));
  await assert.rejects(waiting, { message: 'cancelled' });
  await assert.rejects(copyTo(reservations, '/s/secret', cancelled.signal), { message: 'cancelled' });
  await made.unwind();
  await copyTo(reservations, '/s/secret');
  await reservations.copy('/s/secret', done);
  const failing = (): Promise<void> => Promise.reject(new Error('of the copy'));
  await assert.rejects(reservations.copy('/s/secret', failing), { message: 'of the copy' });
  await reservations.reserve('b', { ...none, sources: ['/s/secret'] }, new UndoStack());
});

test('the root of a container that an earlier agent had made is held', async () => {
  const reservations = new PathReservations();
  const made = new UndoStack();
  reservations.reserveRoots('a', ['/s/root'], made);
  await assert.rejects(reservations.copy('/s/root/x', done), { kind: 'precondition' });
  await made.unwind();
  await reservations.copy('/s/root/x', done);
});

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
