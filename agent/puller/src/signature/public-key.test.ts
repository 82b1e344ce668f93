import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { hasImageCode } from '@kata-agent/registry';
import { preAuthenticationEncoding } from './bundle.js';
import { parsePublicKey } from './public-key.js';

const spki = { type: 'spki', format: 'pem' } as const;

describe('a key of signatures', () => {
  it('is refused when it is weak, private, or several', () => {
    const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const good = p256.publicKey.export(spki).toString();
    parsePublicKey(`\n${good}\n`);
    const bad = [
      p256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      good + good,
      '',
      good.replace('MF', 'MG'),
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export(spki).toString(),
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export(spki).toString(),
      generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export(spki).toString(),
      generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }).publicKey.export(spki).toString(),
      generateKeyPairSync('x25519').publicKey.export(spki).toString(),
    ];
    for (const pem of bad)
      assert.throws(
        () => parsePublicKey(pem),
        (error) => hasImageCode(error, 'settings-invalid'),
        pem.slice(0, 60),
      );
  });

  it('takes no malformed signature', () => {
    for (const type of ['ec', 'ed25519'] as const) {
      const { publicKey } =
        type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
      const key = parsePublicKey(publicKey.export(spki).toString());
      for (const signature of [Buffer.alloc(0), Buffer.alloc(64), Buffer.alloc(10_000, 1)])
        assert.equal(key.verify(Buffer.from('x'), signature), false);
    }
  });

  it('signs a DSSE envelope as in the protocol', () => {
    const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
    assert.equal(Buffer.from(encoded).toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });
});
