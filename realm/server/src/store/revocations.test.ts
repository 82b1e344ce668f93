import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkPlace,
  maxRevocations,
  type Revocation,
  Revocations,
  TooManyRevocations,
} from './revocations.js';
import { StoreError } from './own-file.js';

const revocationOf = (peer: string, entry = 'web'): Revocation => ({
  entry,
  peer,
  serial: '',
  issuer: '',
  at: '2026-01-01T00:00:00Z',
  by: 'a'.repeat(64),
});

test('revocations outlive the process, once each', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-revocations-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'revocations.json');
  const revocations = await Revocations.open(path);
  await Promise.all(['cn:a', 'cn:b', 'cn:a'].map((peer) => revocations.add(revocationOf(peer))));
  await revocations.add(revocationOf('cn:a', 'db'));
  const again = await Revocations.open(path);
  assert.deepEqual(
    again.list('web').map(({ peer }) => peer),
    ['cn:a', 'cn:b'],
  );
  assert.equal(again.list('db').length, 1);
  // What a crash has left of a write is not read.
  writeFileSync(`${path}.new`, 'half');
  assert.equal((await Revocations.open(path)).list('web').length, 2);
  for (const wrong of ['', '{', '[]', '{"version":2,"revocations":[]}', '{"version":1,"revocations":[{}]}']) {
    writeFileSync(path, wrong);
    await assert.rejects(Revocations.open(path), (error) => {
      assert.ok(error instanceof StoreError);
      assert.match(error.message, /is not a file of revocations/);
      return true;
    });
    assert.equal(readFileSync(path, 'utf8'), wrong, 'it is not replaced');
  }
});

test('an operator has a quarter of the places of an entry, and none of another entry or operator', () => {
  const by = (operator: string, from: number, count: number): readonly Revocation[] =>
    Array.from({ length: count }, (_, n) => ({ ...revocationOf(`cn:${from + n}`), by: operator.repeat(64) }));
  const isRefused = (own: readonly Revocation[], operator: string): string => {
    try {
      checkPlace(own, { entry: 'web', by: operator.repeat(64) });
      return '';
    } catch (error) {
      assert.ok(error instanceof TooManyRevocations);
      return error.message;
    }
  };
  const quarter = maxRevocations / 4;
  assert.equal(isRefused(by('a', 0, quarter - 1), 'a'), '');
  assert.match(isRefused(by('a', 0, quarter), 'a'), /you have made 1024 revocations of \[\[guest\]\] "web"/);
  assert.equal(isRefused(by('a', 0, quarter), 'b'), '');
  const full = ['a', 'b', 'c', 'd'].flatMap((operator, n) => by(operator, n * quarter, quarter));
  assert.match(isRefused(full, 'e'), /has 4096 revocations already, and its guests accept no more/);
  assert.equal(isRefused(full.slice(1), 'e'), '');
});

test('an operator that has all of its places can repeat a revocation, and another one can revoke it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-revocations-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'revocations.json');
  const all = Array.from({ length: maxRevocations / 4 }, (_, n) => revocationOf(`cn:junk-${n}`));
  writeFileSync(path, JSON.stringify({ version: 1, revocations: all }));
  const revocations = await Revocations.open(path);
  const one = revocationOf('cn:dora');
  assert.throws(() => revocations.check(one), TooManyRevocations);
  await assert.rejects(revocations.add(one), TooManyRevocations);
  revocations.check({ ...revocationOf('cn:junk-7'), at: '2026-02-02T00:00:00Z' });
  await revocations.add({ ...one, by: 'b'.repeat(64) });
  assert.equal((await Revocations.open(path)).list('web').length, all.length + 1);
  assert.throws(() => revocations.check(revocationOf('cn:more')), TooManyRevocations);
  revocations.check(revocationOf('cn:more', 'db'));
});
