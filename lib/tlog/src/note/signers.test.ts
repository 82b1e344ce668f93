import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { TextFormError } from '../text-form.js';
import { testKey, testLog, testWitness } from '../testing/test-keys.js';
import { formatWitnessKey, parseWitnessKey } from './signers.js';

test('the key of a witness is the same after it was written and read', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = formatWitnessKey('realm.example/w1', privateKey);
  assert.match(text, /^PRIVATE\+KEY\+realm\.example\/w1\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/);
  const signer = parseWitnessKey(text);
  assert.equal(formatWitnessKey('realm.example/w1', privateKey), text);
  const note = 'a text\n';
  const { name } = signer.verifier;
  assert.equal(name, 'realm.example/w1');
  assert.equal(signer.cosign(note, 7), parseWitnessKey(text).cosign(note, 7));
  const known = formatWitnessKey(testWitness.verifier.name, testKey(3));
  assert.equal(parseWitnessKey(known).verifier.toString(), testWitness.verifier.toString());
});

test('other texts are no key of a witness, and what is said of them has no part of it', () => {
  const text = formatWitnessKey('w', testKey(3));
  const base64 = text.slice(text.lastIndexOf('+', text.length - 44) + 1);
  for (const wrong of [
    '',
    `${text}\n`,
    text.slice(1),
    text.slice(0, -1),
    text.replace('+w+', '+v+'),
    text.replace('+w+', '++'),
    text.replace(base64, Buffer.concat([Buffer.of(1), Buffer.alloc(32, 3)]).toString('base64')),
    testLog.verifier.toString(),
  ])
    assert.throws(
      () => parseWitnessKey(wrong),
      (error: unknown) => error instanceof TextFormError && !error.message.includes(base64.slice(8, 20)),
      wrong,
    );
  assert.throws(() => formatWitnessKey('a b', testKey(3)), TextFormError);
});
