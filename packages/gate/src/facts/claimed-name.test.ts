import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimedName } from './claimed-name.js';

test('the name of a container is where containerd or CRI-O put it', () => {
  assert.equal(claimedName({ 'io.kubernetes.cri.container-name': 'web' }), 'web');
  assert.equal(claimedName({ 'io.kubernetes.container.name': 'web' }), 'web');
  assert.equal(
    claimedName({ 'io.kubernetes.container.name': 'db', 'io.kubernetes.cri.container-name': 'web' }),
    'web',
  );
});

test('the pause container has none, as has one that nobody names', () => {
  assert.equal(claimedName({ 'io.kubernetes.container.name': 'POD' }), '');
  assert.equal(claimedName({ 'io.kubernetes.cri.container-type': 'sandbox' }), '');
  assert.equal(claimedName({}), '');
});
