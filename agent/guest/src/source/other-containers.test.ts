import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemovedPlaces } from './removed-places.js';
import { OwnPlaces } from './other-containers.js';
import type { PlaceOwner, SourceUse, UsedSource } from './place-owner.js';

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;

function directory(path: string, use: SourceUse = 'volume'): UsedSource {
  return { path, use, isDirectory: true };
}

function file(path: string): UsedSource {
  return { path, use: 'volume', isDirectory: false };
}

function container(id: string, ...sources: readonly UsedSource[]): PlaceOwner {
  return { named: `container ${id}`, id, sources };
}

function add(
  source: UsedSource,
  others: readonly PlaceOwner[],
  { id = 'app', podPlaces = [] as readonly string[], removed = new RemovedPlaces(kata) } = {},
): readonly UsedSource[] {
  const sources: UsedSource[] = [];
  new OwnPlaces({ id, sources, others: () => others, removed, podPlaces: () => podPlaces }).add([source]);
  return sources;
}

const pause = container('pause', directory(`${shared}/pause/rootfs`, 'own'));

test('no source lies in a directory of another container', () => {
  for (const path of [
    `${shared}/pause/rootfs`,
    `${shared}/pause`,
    `${shared}/passthrough/pause/rootfs/etc`,
    `${kata}/shared/rafs/pause/lowerdir`,
    `${kata}/pause/rootfs`,
  ])
    assert.throws(() => add(directory(path), [pause]), { kind: 'refused', message: /container pause/ });
  const own = directory(`${shared}/app/rootfs`, 'own');
  assert.deepEqual(add(own, [pause]), [own]);
  for (const path of ['app-1-hosts', 'app/pause-1-hosts']) add(file(`${shared}/${path}`), [pause]);
});

test('a file named by the id of a container belongs to it; a directory may be a volume of several', () => {
  const hosts = `${shared}/pause-0123456789abcdef-hosts`;
  assert.throws(() => add(file(hosts), [pause]), { kind: 'refused', message: /place of container pause/ });
  add(directory(hosts), [pause]);
  // If two ids match, the longer one is meant.
  add(file(`${shared}/pause-app-01-hosts`), [pause], { id: 'pause-app' });
  assert.throws(() => add(file(`${shared}/app-2-01-hosts`), [container('app-2')]), { kind: 'refused' });
});

test("a local volume of the pod lies in its first container's directory", () => {
  const place = `${shared}/pause/rootfs/local/data`;
  const podPlaces = [place];
  for (const path of [place, `${place}/sub`]) add(directory(path), [pause], { podPlaces });
  for (const path of [`${place}2`, `${shared}/pause/rootfs/local`])
    assert.throws(() => add(directory(path), [pause], { podPlaces }), { kind: 'refused' });
});

test('neither another container nor a storage may have a place of the new container', () => {
  const place = `${shared}/late/rootfs`;
  for (const early of [
    container('early', directory(place)),
    container('early', directory(`${place}/early`)),
    container('early', file(`${shared}/late-01-hosts`)),
    { named: 'the storage at x', sources: [directory(`${place}/etc`)] },
  ])
    assert.throws(() => add(directory(place, 'own'), [early], { id: 'late' }), {
      kind: 'refused',
      message: /(container early|storage at x) has a place of container late already/,
    });
});

test('sources of a root belong to one container, whatever their names; read-only layers may be shared', () => {
  const uses: readonly SourceUse[] = ['own', 'layer', 'volume', 'guest'];
  const allowed: string[] = [];
  for (const theirs of uses)
    for (const mine of uses)
      for (const [other, path] of [
        ['/a/b', '/a/b'],
        ['/a/b', '/a/b/c'],
        ['/a/b', '/a'],
      ] as const) {
        try {
          add(directory(path, mine), [container('x', directory(other, theirs))]);
          if (path === other) allowed.push(`${theirs} ${mine}`);
        } catch {
          assert.ok(!allowed.includes(`${theirs} ${mine}`));
        }
        add(directory('/a/b2', mine), [container('x', directory('/a/b', theirs))]);
      }
  assert.deepEqual(allowed, [
    'own guest',
    'layer layer',
    'layer guest',
    'volume volume',
    'volume guest',
    ...uses.map((use) => `guest ${use}`),
  ]);
});
