import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { createDigest } from './digest.js';

test('the digest is HMAC-SHA-256 under the key', () => {
  const key = Buffer.alloc(32, 7);
  const payload = Buffer.from('secret');
  assert.equal(createDigest(key)(payload), createHmac('sha256', key).update(payload).digest('hex'));
});

test('without a given key each one is random, so that a short secret cannot be guessed', () => {
  const payload = Buffer.from('1234');
  const digest = createDigest();
  assert.equal(digest(payload), digest(payload));
  assert.notEqual(digest(payload), createDigest()(payload));
  assert.notEqual(digest(payload), createHash('sha256').update(payload).digest('hex'));
});
