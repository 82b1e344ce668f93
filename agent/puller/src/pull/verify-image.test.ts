import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { digestOf, ImageError, maxDocumentBytes, ownPlatform, parseReference } from '@kata-agent/registry';
import { assert as assertProperty, asyncProperty, constantFrom, integer, nat } from 'fast-check';
import type { SignatureSettings } from '../signature/signature-requirements.js';
import { LayerError } from '../unpack/layer-error.js';
import { checkReference } from './check-reference.js';
import { ReceivedDocuments, type SentDocument } from '../manifest/image-documents.js';
import { type VerifiedImage, verifyImage } from './verify-image.js';

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  signature: 'application/vnd.dev.cosign.simplesigning.v1+json',
} as const;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const name = 'registry.example/team/app';

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const descriptor = (mediaType: string, bytes: Buffer, more: object = {}): object => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  ...more,
});
const envelope = (mediaType: string, members: object): Buffer =>
  json({ schemaVersion: 2, mediaType, ...members });

/** The documents of an image with one layer, which is signed, as the process that pulls sends them. */
function documentsOf(entrypoint: string): {
  readonly documents: readonly SentDocument[];
  readonly digest: string;
} {
  const { os, architecture } = ownPlatform();
  const config = json({
    os,
    architecture,
    config: { Entrypoint: [entrypoint] },
    rootfs: { type: 'layers', diff_ids: [digestOf(Buffer.from(`unpacked ${entrypoint}`))] },
  });
  const manifest = envelope(types.manifest, {
    config: descriptor(types.config, config),
    layers: [descriptor(types.layer, Buffer.from(entrypoint))],
  });
  const index = envelope(types.index, {
    manifests: [descriptor(types.manifest, manifest, { platform: { os, architecture } })],
  });
  const digest = digestOf(index);
  const payload = json({
    critical: {
      type: 'cosign container image signature',
      image: { 'docker-manifest-digest': digest },
      identity: { 'docker-reference': name },
    },
    optional: null,
  });
  const annotations = {
    'dev.cosignproject.cosign/signature': sign('sha256', payload, privateKey).toString('base64'),
  };
  const attachment = envelope(types.manifest, {
    config: descriptor(types.config, Buffer.from('{}')),
    layers: [descriptor(types.signature, payload, { annotations })],
  });
  const blob = (bytes: Buffer) => ({ mediaType: '', bytes });
  return {
    digest,
    documents: [
      { kind: 'manifest', name: digest, content: { mediaType: types.index, bytes: index } },
      { kind: 'manifest', name: digestOf(manifest), content: { mediaType: types.manifest, bytes: manifest } },
      {
        kind: 'attachment',
        name: `${digest.replace(':', '-')}.sig`,
        content: { mediaType: types.manifest, bytes: attachment },
      },
      {
        kind: 'attachment',
        name: `${digestOf(manifest).replace(':', '-')}.sig`,
      },
      { kind: 'signature', name: digestOf(payload), content: blob(payload) },
      { kind: 'configuration', name: digestOf(config), content: blob(config) },
    ],
  };
}

const own = documentsOf('/app');
const other = documentsOf('/shell');

function verify(
  documents: readonly SentDocument[],
  wanted = `${name}@${own.digest}`,
  entries: readonly SignatureSettings[] = [{ scope: name, keys: [pem], formats: ['simple-signing'] }],
): Promise<VerifiedImage> {
  const reference = parseReference(wanted);
  const requirements = checkReference(reference, {
    registries: [],
    requireDigest: false,
    registryCa: [],
    tokenHosts: {},
    mirrors: {},
    decryptionKeys: [],
    maxBytes: 1_000_000,
    signatures: [{ entries, closed: true }],
  });
  const demand = { reference, requirements, platform: ownPlatform(), maxBytes: 1_000_000 };
  return verifyImage(new ReceivedDocuments(documents), demand);
}

/** What the agent uses of an image. */
function used({ digest, manifestDigest, config, manifest, signatures }: VerifiedImage): unknown {
  const { entrypoint } = config.process;
  return {
    digest,
    manifestDigest,
    entrypoint,
    diffIds: config.diffIds,
    layers: manifest.layers.map((layer) => layer.digest),
    signed: signatures.map((each) => [each.signed, each.digest]),
  };
}

const isRefusal = (error: unknown): boolean => error instanceof ImageError || error instanceof LayerError;

test('the documents of an image give its digests, its process, its layers and its signature', async () => {
  const image = await verify(own.documents);
  assert.equal(image.digest, own.digest);
  assert.deepEqual(image.config.process.entrypoint, ['/app']);
  assert.deepEqual(
    image.signatures.map(({ signed }) => signed),
    ['index'],
  );
});

test('no document can be left out, but for one that says that there is none', async () => {
  for (const [index, { kind, name: what, content }] of own.documents.entries()) {
    if (content === undefined) continue;
    await assert.rejects(verify(own.documents.toSpliced(index, 1)), (error: unknown) => {
      assert.ok(isRefusal(error), String(error));
      assert.match(String(error), new RegExp(`did not send ${kind} ${what}`));
      return true;
    });
    await assert.rejects(verify(own.documents.with(index, { kind, name: what })), isRefusal);
  }
});

test('no document of another image, under the name of one of this image, changes what is used', async () => {
  for (const [index, { kind, name: what }] of own.documents.entries())
    for (const { content } of other.documents) {
      if (content === undefined) continue;
      const changed = own.documents.with(index, { kind, name: what, content });
      await verify(changed).then(
        async (image) => assert.deepEqual(used(image), used(await verify(own.documents)), `${kind} ${what}`),
        (error: unknown) => assert.ok(isRefusal(error), String(error)),
      );
    }
});

test('a whole other image is not the one of the reference', async () => {
  await assert.rejects(verify(other.documents), /did not send manifest/);
  const renamed = other.documents.map((document) =>
    document.name === other.digest ? { ...document, name: own.digest } : document,
  );
  await assert.rejects(verify(renamed), /has the digest/);
});

test('a change of any byte changes nothing that is used', async () => {
  const expected = used(await verify(own.documents));
  const changes = own.documents.flatMap(({ content }, index) =>
    content === undefined ? [] : [{ index, length: content.bytes.length }],
  );
  await assertProperty(
    asyncProperty(
      constantFrom(...changes),
      nat(),
      integer({ min: 1, max: 255 }),
      async ({ index, length }, at, bits) => {
        const document = own.documents[index];
        assert.ok(document?.content !== undefined);
        const bytes = Buffer.from(document.content.bytes);
        bytes.writeUInt8(bytes.readUInt8(at % length) ^ bits, at % length);
        const changed = own.documents.with(index, { ...document, content: { ...document.content, bytes } });
        await verify(changed).then(
          (image) => assert.deepEqual(used(image), expected),
          (error: unknown) => assert.ok(isRefusal(error), String(error)),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('a document that is too large is not parsed', async () => {
  const [first, ...rest] = own.documents;
  assert.ok(first?.content !== undefined);
  const bytes = Buffer.alloc(maxDocumentBytes + 1, ' ');
  await assert.rejects(
    verify([{ ...first, content: { ...first.content, bytes } }, ...rest]),
    /has more than 524288 bytes/,
  );
});

test('an image needs no signature if its index or its manifest is listed by digest', async () => {
  const listed = (...digests: string[]) => [{ scope: name, keys: [], formats: [], digests }];
  const { manifestDigest } = await verify(own.documents);
  for (const [digest, signed] of [
    [own.digest, 'index'],
    [manifestDigest, 'manifest'],
  ] as const) {
    const { signatures } = await verify(own.documents, `${name}@${own.digest}`, listed(other.digest, digest));
    assert.deepEqual(signatures, [{ scope: name, format: 'digest', signer: digest, signed, digest }]);
  }
  await assert.rejects(
    verify(own.documents, `${name}@${own.digest}`, listed(other.digest)),
    /its digest is not one of digests/,
  );
  // Each scope that matches demands its own.
  const both = [...listed(own.digest), ...listed(other.digest)];
  await assert.rejects(verify(own.documents, `${name}@${own.digest}`, both), /not one of digests/);
});
