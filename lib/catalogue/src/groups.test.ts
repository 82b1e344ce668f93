import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { endpoints, existedIn, groups, isMethodName, membersOf, methodNames, releases } from './index.js';

test('groups contain known methods only, each once, and have a purpose', () => {
  for (const [name, group] of groups) {
    assert.equal(group.name, name);
    assert.match(name, /^@[a-z]+$/);
    assert.match(group.purpose, /^[A-Z].*\.$/);
    assert.ok(group.methods.length > 0);
    assert.equal(new Set(group.methods).size, group.methods.length, name);
    for (const method of group.methods) assert.ok(isMethodName(method), `${name}: ${method}`);
  }
});

test('every method is in a group', () => {
  for (const endpoint of Object.values(endpoints)) assert.ok(endpoint.groups.length > 0, endpoint.method);
});

test('no other group contains a method of @pod', () => {
  for (const method of membersOf('@pod')) assert.deepEqual(endpoints[method].groups, ['@pod'], method);
});

test('a release has only the methods introduced up to it', () => {
  assert.equal(membersOf('*', '2.0.0').length, 30);
  assert.equal(membersOf('*', '3.21').length, 41);
  assert.equal(membersOf('*', '3.29').length, 42);
  assert.equal(membersOf('*').length, 42);
  assert.ok(!membersOf('@pod', '3.1.3').includes('RemoveStaleVirtiofsShareMounts'));
  assert.ok(membersOf('@pod', '3.2').includes('RemoveStaleVirtiofsShareMounts'));
  assert.deepEqual(membersOf('@swap', '3.0'), ['AddSwap']);
  assert.deepEqual(membersOf('@policy', '2.5.2'), []);
  assert.equal(existedIn('GetDiagnosticData', '3.28.0'), false);
  assert.equal(existedIn('GetDiagnosticData', '3.29'), true);
  assert.throws(() => membersOf('@pod', 'newest'), RangeError);
});

test('a later release never has fewer methods', () => {
  const name = fc.constantFrom('*' as const, ...groups.keys());
  const index = fc.nat(releases.length - 1);
  fc.assert(
    fc.property(name, index, index, (group, a, b) => {
      const earlier = membersOf(group, releases[Math.min(a, b)]);
      const later = membersOf(group, releases[Math.max(a, b)]);
      for (const method of earlier) assert.ok(later.includes(method));
      for (const method of later) assert.ok(membersOf(group).includes(method));
    }),
  );
});

test('* expands to the whole service', () => {
  assert.deepEqual(membersOf('*'), methodNames);
});
