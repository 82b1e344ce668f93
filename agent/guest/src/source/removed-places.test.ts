import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { runs } from '@kata-agent/base/testing';
import { OwnPlaces } from './other-containers.js';
import type { PlaceOwner, SourceUse, UsedSource } from './place-owner.js';
import { type RemovedOwner, RemovedPlaces } from './removed-places.js';

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;
const ids = ['a', 'b', 'a-b', 'rootfs', 'containers'];

const own = (path: string): UsedSource => ({ path, use: 'own', isDirectory: true });

/** The places of each removed container one by one, as those of containers that exist. */
function oneByOne(removed: readonly RemovedOwner[], made: string): readonly PlaceOwner[] {
  const last = new Map(removed.map((each) => [each.id, each]));
  return [...last.values()]
    .filter(({ id, sources }) => id !== made && sources.length > 0)
    .map(({ id, sources }) => ({ named: `container ${id}`, id, sources }));
}

function isRefused(
  made: string,
  source: UsedSource,
  { others, removed }: { readonly others: readonly PlaceOwner[]; readonly removed: RemovedPlaces },
): boolean {
  const places = () =>
    new OwnPlaces({ id: made, sources: [], others: () => others, removed, podPlaces: () => [] });
  try {
    places().add([source]);
    return false;
  } catch {
    return true;
  }
}

const segment = fc.constantFrom(...ids, 'a-1-hosts', 'a-b-1-hosts', 'x', 'sandbox');
const path = fc
  .tuple(
    fc.constantFrom('/', '/run', kata, `${kata}/shared`, shared, '/elsewhere'),
    fc.array(segment, { maxLength: 3 }),
  )
  .map(([top, rest]) => [top === '/' ? '' : top, ...rest].join('/') || '/');
const usual = fc
  .constantFrom(...ids)
  .chain((id) =>
    fc
      .constantFrom(`${shared}/${id}/rootfs`, `${kata}/${id}/rootfs`)
      .map((place) => ({ id, sources: [own(place)] })),
  );
const unusual = fc
  .tuple(fc.constantFrom(...ids), fc.array(path.map(own), { maxLength: 2 }))
  .map(([id, sources]) => ({ id, sources }));
const source = fc.record({
  path,
  use: fc.constantFrom<SourceUse>('own', 'layer', 'volume', 'guest'),
  isDirectory: fc.boolean(),
});

test('the same sources are refused as if each removed container were kept with its places', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(usual, unusual), { maxLength: 4 }),
      fc.constantFrom(...ids, 'x', 'new'),
      source,
      (owners, made, used) => {
        const removed = new RemovedPlaces(kata);
        for (const owner of owners) removed.add(owner);
        assert.equal(
          isRefused(made, used, { others: [], removed }),
          isRefused(made, used, { others: oneByOne(owners, made), removed: new RemovedPlaces(kata) }),
        );
      },
    ),
    { numRuns: runs(20_000) },
  );
});

test('roots where the runtimes put them are kept by their ids alone', () => {
  const removed = new RemovedPlaces(kata);
  for (let index = 0; index < 10_000; index += 1)
    removed.add({ id: `c${index}`, sources: [own(`${shared}/c${index}/rootfs`)] });
  assert.equal(removed.owners({ butOf: 'new' }).length, 1);
  assert.ok(removed.had('c9999') && removed.hadPlaces('c0') && !removed.had('c10000'));
  const used = own(`${shared}/c5000/rootfs`);
  assert.equal(isRefused('new', used, { others: [], removed }), true);
  assert.equal(isRefused('c5000', used, { others: [], removed }), false);
});

test('a container without places of its own only keeps its id', () => {
  const removed = new RemovedPlaces(kata);
  removed.add({ id: 'a', sources: [] });
  assert.ok(removed.had('a') && !removed.hadPlaces('a'));
  removed.clear();
  assert.equal(removed.had('a'), false);
});
