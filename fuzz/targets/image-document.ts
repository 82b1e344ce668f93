import { checkBundle } from '@kata-agent/puller';
import { ImageError, parseCredentials, parseImageConfig, parseManifest } from '@kata-agent/registry';
import { mutateBytes } from '../mutate.js';
import type { Target } from '../target.js';

const ociImage = 'application/vnd.oci.image';
const digest = `sha256:${'0'.repeat(64)}` as const;
const layer = { mediaType: `${ociImage}.layer.v1.tar+gzip`, digest, size: 5 };

/** Each kind of document, and its parser. */
const kinds: readonly { readonly document: object; readonly parse: (bytes: Uint8Array) => unknown }[] = [
  {
    document: {
      schemaVersion: 2,
      mediaType: `${ociImage}.index.v1+json`,
      manifests: [
        {
          mediaType: `${ociImage}.manifest.v1+json`,
          digest,
          size: 5,
          platform: { os: 'linux', architecture: 'amd64' },
        },
      ],
    },
    parse: (bytes) =>
      parseManifest({ bytes: Buffer.from(bytes), digest, mediaType: `${ociImage}.index.v1+json` }),
  },
  {
    document: {
      schemaVersion: 2,
      mediaType: `${ociImage}.manifest.v1+json`,
      config: { mediaType: `${ociImage}.config.v1+json`, digest, size: 5 },
      layers: [layer, { ...layer, annotations: { a: 'b' } }],
    },
    parse: (bytes) =>
      parseManifest({ bytes: Buffer.from(bytes), digest, mediaType: `${ociImage}.manifest.v1+json` }),
  },
  {
    document: {
      os: 'linux',
      architecture: 'arm64',
      variant: 'v8',
      config: {
        Entrypoint: ['/a'],
        Cmd: null,
        Env: ['A=b'],
        User: '1:2',
        Volumes: { '/v': {} },
        Labels: { a: 'b' },
      },
      rootfs: { type: 'layers', diff_ids: [digest] },
    },
    parse: parseImageConfig,
  },
  {
    document: {
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: '' } },
      dsseEnvelope: {
        payloadType: 'application/vnd.in-toto+json',
        payload: Buffer.from(
          '{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"00"}}]}',
        ).toString('base64'),
        signatures: [{ sig: 'AAAA' }],
      },
    },
    // A key that signed everything: the statement is read too.
    parse: (bytes) => checkBundle(bytes, { digest, bytes }, [{ id: 'any', verify: () => true }]),
  },
  {
    document: { auths: { 'registry.example/team': { auth: 'dTpw' } } },
    parse: parseCredentials,
  },
];
const valid = kinds.map(({ document }) => Buffer.from(JSON.stringify(document)));

/** A document of an image with changes in a few places, or random bytes. */
export const imageDocument: Target = {
  name: 'image-document',
  promise:
    'no bytes make a parser of documents of images fail otherwise than by its own error, which is one short line',
  run(random) {
    const at = random.below(kinds.length);
    const bytes = random.once(8)
      ? random.bytes(random.below(400))
      : mutateBytes(random, valid[at] ?? Buffer.alloc(0));
    try {
      kinds[at]?.parse(bytes);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      if (!/^[\x20-\x7e…]{1,400}$/.test(error.message))
        throw new Error(`the message is not a short line of ASCII: ${error.message}`, { cause: error });
    }
    return undefined;
  },
};
