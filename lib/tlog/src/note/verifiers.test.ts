import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { rawPublicKey } from './verifiers.js';

test('the bytes of a public key are those of its JWK', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  for (const key of [privateKey, publicKey])
    assert.equal(Buffer.from(rawPublicKey(key)).toString('base64url'), x);
  assert.throws(() => rawPublicKey(generateKeyPairSync('x25519').publicKey), TypeError);
});

// An agent of Node.js 20 hung at its start: a garbage collection fell into the export of the key that it had just generated. Here
// a setter collects garbage whenever Node.js sets a member of a JWK.
test('a garbage collection at any time does not stop a process that reads the bytes of a key', () => {
  const program = `
    import { generateKeyPairSync } from 'node:crypto';
    import { rawPublicKey } from ${JSON.stringify(new URL('verifiers.js', import.meta.url).href)};
    Object.defineProperty(Object.prototype, 'x', { set: () => globalThis.gc(), configurable: true });
    for (let count = 0; count < 50; count += 1) rawPublicKey(generateKeyPairSync('ed25519').privateKey);`;
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '--eval', program],
    { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' },
  );
  assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
});
