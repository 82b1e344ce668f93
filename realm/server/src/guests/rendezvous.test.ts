import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Rendezvous } from './rendezvous.js';

const guest = 'a'.repeat(64);
const token = '1'.repeat(64);

test('a token is worth one connection of one guest', async () => {
  const rendezvous = new Rendezvous();
  const expected = rendezvous.expect(guest, token, 1_000);
  assert.equal(rendezvous.take('b'.repeat(64), token), undefined);
  assert.equal(rendezvous.take(guest, '2'.repeat(64)), undefined);
  const stream = new PassThrough();
  rendezvous.take(guest, token)?.(stream);
  assert.equal(await expected, stream);
  assert.equal(rendezvous.take(guest, token), undefined);
});

test('after a timeout or an abort it is worth nothing', async () => {
  const rendezvous = new Rendezvous();
  await assert.rejects(rendezvous.expect(guest, token, 5), /has opened no connection within 5 ms/);
  assert.equal(rendezvous.take(guest, token), undefined);
  const over = new AbortController();
  const expected = rendezvous.expect(guest, token, 10_000, over.signal);
  over.abort(new Error('the operator left'));
  await assert.rejects(expected, /the operator left/);
  assert.equal(rendezvous.take(guest, token), undefined);
  await assert.rejects(rendezvous.expect(guest, token, 10_000, over.signal), /the operator left/);
});

test('a guest that opens none has a bounded number of them', async () => {
  const rendezvous = new Rendezvous();
  const over = new AbortController();
  const expected = Array.from({ length: 64 }, (_, index) =>
    rendezvous.expect(guest, String(index).padStart(64, '0'), 10_000, over.signal),
  );
  await assert.rejects(rendezvous.expect(guest, token, 10_000), /was asked for 64 connections/);
  void rendezvous.expect('b'.repeat(64), token, 10_000, over.signal).catch(() => undefined);
  over.abort(new Error('end'));
  for (const { status } of await Promise.allSettled(expected)) assert.equal(status, 'rejected');
});
