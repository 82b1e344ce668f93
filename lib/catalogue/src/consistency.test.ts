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

test('each rule has a unique id, known methods, and texts', () => {
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

test('each rule reports a missing companion, and nothing when both or neither are served', () => {
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

test('the message names the served and the missing methods', () => {
  assert.deepEqual(
    inconsistencies(['PauseContainer', 'GetMetrics']).map(({ message }) => message),
    [
      'PauseContainer is served without ResumeContainer: a paused container stays frozen and can only be removed.',
    ],
  );
});

test('consistent sets break no rule', () => {
  assert.deepEqual(ids([]), []);
  for (const release of releases) assert.deepEqual(ids(membersOf('*', release)), [], release);
  for (const name of groups.keys()) {
    for (const release of releases)
      assert.deepEqual(ids([...membersOf('@pod', release), ...membersOf(name, release)]), [], name);
  }
  // Groups that are useful alone: observation, copying, pausing, policy.
  for (const name of groups.keys()) {
    if (name !== '@exec' && name !== '@resize') assert.deepEqual(ids(membersOf(name)), [], name);
  }
  // Blocking a single method after a pod is finished is legitimate.
  for (const method of ['ResumeContainer', 'StatsContainer', 'GetOOMEvent', 'SignalProcess'] as const)
    assert.deepEqual(ids([method]), []);
  assert.deepEqual(ids(without('ExecProcess', 'ReseedRandomDev')), []);
  assert.deepEqual(ids(without('PauseContainer', 'WriteStdin', 'AddSwap', 'CopyFile')), []);
});

test('blocking one method of a group breaks no rule, except for its companions', () => {
  const companions = new Set(consistency.flatMap((rule) => rule.needs));
  for (const method of methodNames)
    assert.equal(ids(without(method)).length > 0, companions.has(method), method);
});

test('a release pin alone breaks no rule: a companion is never newer', () => {
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
