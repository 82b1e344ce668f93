import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, ownPlatform, parseReference } from '@kata-agent/registry';
import type { WrappedKey } from '../encryption/layer-cipher.js';
import { KeyAnswers } from './run-pull-child.js';
import type { SentManifest } from './pull-protocol.js';

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
} as const;

const document = (mediaType: string, members: object): SentManifest => ({
  mediaType,
  bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...members })),
});
const descriptor = (mediaType: string, bytes: Buffer, more: object = {}): object => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  ...more,
});
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A manifest of an image whose only layer has a key for each of two recipients. */
function manifestWith(name: string): SentManifest {
  const annotations = {
    'org.opencontainers.image.enc.keys.jwe': `${base64(`${name} 1`)},${base64(`${name} 2`)}`,
  };
  return document(types.manifest, {
    config: descriptor(types.config, Buffer.from('{}')),
    layers: [descriptor(types.layer, Buffer.from(name), { annotations })],
  });
}

const own = manifestWith('own');
const other = manifestWith('other');
const index = document(types.index, {
  manifests: [
    descriptor(types.manifest, other.bytes, { platform: { os: 'linux', architecture: 'other' } }),
    descriptor(types.manifest, own.bytes, { platform: ownPlatform() }),
  ],
});
const pinned = (manifest: SentManifest): string => `registry.example/app@${digestOf(manifest.bytes)}`;

/** Answers questions about an image, with what was unwrapped. */
function answers(reference: string) {
  const unwrapped: string[] = [];
  const { answer } = new KeyAnswers(parseReference(reference), async ({ packet }) => {
    unwrapped.push(Buffer.from(packet).toString());
    return Buffer.from('options');
  });
  return {
    unwrapped,
    sent: (...manifests: readonly SentManifest[]) => answer({ kind: 'manifests', manifests }),
    key: async (packet: string, scheme = 'jwe') =>
      (await answer({ kind: 'key', key: { scheme, packet: Buffer.from(packet) } satisfies WrappedKey }))
        .options,
  };
}

for (const [what, reference, manifests] of [
  ['a manifest', pinned(own), [own]],
  ['an index', pinned(index), [index, own]],
] as const)
  test(`with the digest of ${what} in the reference its keys are unwrapped, and no others`, async () => {
    const { unwrapped, sent, key } = answers(reference);
    assert.deepEqual(await sent(...manifests), { options: null });
    assert.equal(await key('own 2'), base64('options'));
    await assert.rejects(key('other 1'), {
      name: 'LayerError',
      message: /asked for a key that the manifest/,
    });
    await assert.rejects(key('own 1', 'provider.test'), /asked for a key that/);
    assert.deepEqual(unwrapped, ['own 2']);
  });

test('a digest is not enough: the manifest must have it, be for this platform, and be sent first and once', async () => {
  const wrong = /sent other manifests than that with the digest of the reference/;
  await assert.rejects(answers(pinned(own)).sent(other), wrong);
  await assert.rejects(answers(pinned(own)).sent(), wrong);
  await assert.rejects(answers(pinned(index)).sent(index), wrong);
  await assert.rejects(answers(pinned(index)).sent(own), wrong);
  await assert.rejects(answers(pinned(index)).sent(index, other), wrong);
  await assert.rejects(answers(pinned(own)).key('own 1'), /asked for a key that/);
  const { sent } = answers(pinned(own));
  await sent(own);
  await assert.rejects(sent(other), /sent manifests twice/);
});

test('a tag binds no keys', async () => {
  const { unwrapped, sent, key } = answers('registry.example/app:1');
  await sent(own);
  await key('other 1');
  assert.deepEqual(unwrapped, ['other 1']);
});
