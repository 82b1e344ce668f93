import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { configurationDigest, foretoldRegister, measuredDigest, measuredEvent } from '../index.js';

const documents = [{ sha256: 'a'.repeat(64) }, { sha256: 'b'.repeat(64) }];

test('the event is a Confidential Containers event log entry in a TCG tagged event', () => {
  const event = Buffer.from(measuredEvent({ digest: 'c'.repeat(64), documents }));
  assert.equal(event.readUInt32LE(0), 0x4141454c);
  const text = event.toString('utf8', 8);
  assert.equal(event.readUInt32LE(4), text.length);
  const json = `{"digest":"sha256:${'c'.repeat(64)}","documents":["sha256:${'a'.repeat(64)}","sha256:${'b'.repeat(64)}"]}`;
  assert.equal(text, `urn:kata-agent Configuration ${json}`);
});

test('the value of a zeroed register is predicted for each algorithm', () => {
  const event = measuredEvent({ digest: configurationDigest(documents), documents });
  for (const name of ['sha256', 'sha384', 'sha512'] as const) {
    const digest = createHash(name).update(event).digest();
    assert.equal(measuredDigest(event, name), digest.toString('hex'));
    const joined = Buffer.concat([Buffer.alloc(digest.length), digest]);
    assert.equal(foretoldRegister(event, name), createHash(name).update(joined).digest('hex'));
  }
});

test('a configuration’s digest depends on each document and on their order', () => {
  const list = createHash('sha256')
    .update(`${'a'.repeat(64)}\n${'b'.repeat(64)}\n`)
    .digest('hex');
  assert.equal(configurationDigest(documents), list);
  assert.notEqual(configurationDigest(documents.toReversed()), list);
  assert.notEqual(configurationDigest(documents.slice(0, 1)), list);
});
