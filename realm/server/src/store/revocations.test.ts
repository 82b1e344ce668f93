import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Revocation, Revocations } from './revocations.js';
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
