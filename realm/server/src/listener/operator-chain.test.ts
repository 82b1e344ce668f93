import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import {
  certificatePem,
  encodeName,
  extendedKeyUsage,
  type Extension,
  keyUsage,
  makeCertificate,
  Oid,
  parseCertificate,
} from '@kata-agent/x509';
import { verifyOperatorChain } from './operator-chain.js';

const now = Date.UTC(2026, 5);
const ca: Extension = { oid: Oid.BasicConstraints, critical: true, value: Buffer.from('30030101ff', 'hex') };

interface Signer {
  readonly name: string;
  readonly keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly bytes: Buffer;
}

function signed(
  name: string,
  by: Signer | undefined,
  extensions: readonly Extension[],
  notAfter: number = Date.UTC(2030, 0),
  keys: Signer['keys'] = generateKeyPairSync('ec', { namedCurve: 'P-256' }),
): Signer {
  const issuer = by?.name ?? name;
  const bytes = makeCertificate(
    {
      issuer: encodeName([[{ type: 'CN', text: issuer }]]),
      subject: encodeName([[{ type: 'CN', text: name }]]),
      notBefore: Date.UTC(2020, 0),
      notAfter,
      publicKey: keys.publicKey,
      extensions,
    },
    by?.keys.privateKey ?? keys.privateKey,
  );
  return { name, keys, bytes: Buffer.from(bytes) };
}

const authority = [ca, keyUsage(0x06, 1)];
const client = [extendedKeyUsage([Oid.ClientAuth])];

test('an operator is verified again: chain, dates and usages', () => {
  const root = signed('root', undefined, authority);
  const between = signed('between', root, authority);
  const revoked = new Set<string>();
  const trusts = {
    ca: [certificatePem(root.bytes)],
    crl: ['a list'],
    revokes: ({ issuerText, serial }: { readonly issuerText: string; readonly serial: string }) =>
      revoked.has(`${issuerText} ${serial}`),
  };
  const verify = (...chain: readonly Signer[]): string => {
    const result = verifyOperatorChain(
      chain.map(({ bytes }) => bytes),
      trusts,
      now,
    );
    return typeof result === 'string' ? result : 'ok';
  };
  const noChain = /no chain leads/;
  assert.equal(verify(signed('alice', root, client)), 'ok');
  assert.equal(verify(signed('alice', between, client), between), 'ok');
  assert.equal(verify(signed('alice', between, client), root, between), 'ok');
  assert.match(verify(signed('alice', between, client)), noChain);
  // A CA of the same name, and a certificate that is not one of a CA.
  assert.match(verify(signed('alice', signed('root', undefined, authority), client)), noChain);
  const bob = signed('bob', root, client);
  assert.match(verify(signed('alice', bob, client), bob), noChain);
  const old = signed('old', root, authority, Date.UTC(2025, 0));
  assert.match(verify(signed('alice', old, client), old), noChain);
  assert.match(verify(signed('alice', root, client, Date.UTC(2025, 0))), /has expired/);
  assert.match(verify(signed('alice', root, [extendedKeyUsage([Oid.ServerAuth])])), /clientAuth/);
  assert.match(verify(signed('alice', root, [])), /clientAuth/);
  // Certificates that have signed each other, by which more paths lead than can be tried.
  const loop = signed('loop', undefined, authority);
  const others = Array.from({ length: 8 }, () => signed('loop', loop, authority, undefined, loop.keys));
  assert.match(verify(signed('alice', loop, client), ...others), noChain);
  assert.match(verify(), /no certificate/);
  const carol = signed('carol', between, client);
  assert.equal(verify(carol, between), 'ok');
  revoked.add(`CN=between ${parseCertificate(carol.bytes).serial}`);
  assert.match(verify(carol, between), /is revoked/);
  const dave = signed('dave', between, client);
  revoked.add(`CN=root ${parseCertificate(between.bytes).serial}`);
  assert.match(verify(dave, between), noChain);
  const unreadable = verifyOperatorChain(
    [signed('alice', root, client).bytes, Buffer.from('x')],
    trusts,
    now,
  );
  assert.ok(typeof unreadable === 'string' && unreadable.includes('cannot be read'));
});
