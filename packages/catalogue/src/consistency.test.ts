import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  compareReleases,
  consistency,
  endpoints,
  existedIn,
  groups,
  inconsistencies,
  isMethodName,
  type MethodName,
  membersOf,
  methodNames,
  releases,
} from './index.js';

const ids = (served: Iterable<MethodName>): string[] => inconsistencies(served).map(({ rule }) => rule.id);
const without = (...left: MethodName[]): MethodName[] => methodNames.filter((name) => !left.includes(name));

test('each rule has a name of its own, methods that exist, and sentences', () => {
  assert.equal(new Set(consistency.map((rule) => rule.id)).size, consistency.length);
  for (const { id, when, needs, why, help } of consistency) {
    assert.match(id, /^[a-z]+-without-[a-z]+$/);
    for (const method of [...when, ...needs]) assert.ok(isMethodName(method), `${id}: ${method}`);
    assert.ok(!needs.some((method) => when.includes(method)), id);
    assert.match(why, /^[a-z].{10,}\.$/);
    for (const method of when)
      assert.ok(help.includes(`do not serve ${method}`), `${id}: ${method} is not in its help`);
  }
});

test('each rule speaks when a companion is missing, and is quiet when both or neither are there', () => {
  for (const { id, when, needs } of consistency) {
    for (const method of when) {
      assert.ok(ids([method]).includes(id), id);
      assert.ok(!ids([method, ...needs]).includes(id), id);
      for (const needed of needs) assert.ok(ids(without(needed)).includes(id), id);
    }
    assert.ok(!ids(needs).includes(id), id);
    assert.ok(!ids(without(...when)).includes(id), id);
  }
});

test('the message names what is served and what is not', () => {
  assert.deepEqual(
    inconsistencies(['PauseContainer', 'GetMetrics']).map(({ message }) => message),
    [
      'PauseContainer is served without ResumeContainer: what is paused stays frozen and can only be removed.',
    ],
  );
});

test('what makes sense is left alone', () => {
  assert.deepEqual(ids([]), []);
  for (const release of releases) assert.deepEqual(ids(membersOf('*', release)), [], release);
  for (const name of groups.keys()) {
    for (const release of releases)
      assert.deepEqual(ids([...membersOf('@pod', release), ...membersOf(name, release)]), [], name);
  }
  // Groups that do something by themselves: to look, to feed, to pause, to narrow.
  for (const name of groups.keys()) {
    if (name !== '@exec' && name !== '@resize') assert.deepEqual(ids(membersOf(name)), [], name);
  }
  // To close one door behind a finished pod is not senseless.
  for (const method of ['ResumeContainer', 'StatsContainer', 'GetOOMEvent', 'SignalProcess'] as const)
    assert.deepEqual(ids([method]), []);
  assert.deepEqual(ids(without('ExecProcess', 'ReseedRandomDev')), []);
  assert.deepEqual(ids(without('PauseContainer', 'WriteStdin', 'AddSwap', 'CopyFile')), []);
});

test('what is left when one method is blocked makes sense, but for the companions', () => {
  const companions = new Set(consistency.flatMap((rule) => rule.needs));
  for (const method of methodNames)
    assert.equal(ids(without(method)).length > 0, companions.has(method), method);
});

test('a release pin alone breaks no rule: a companion is never the younger one', () => {
  for (const { id, when, needs } of consistency) {
    for (const needed of needs) {
      for (const method of when)
        assert.ok(compareReleases(endpoints[needed].release, endpoints[method].release) <= 0, id);
    }
  }
  fc.assert(
    fc.property(fc.subarray([...methodNames]), fc.constantFrom(...releases), (served, release) => {
      const pinned = ids(served.filter((method) => existedIn(method, release)));
      for (const id of pinned) assert.ok(ids(served).includes(id), id);
    }),
  );
});
