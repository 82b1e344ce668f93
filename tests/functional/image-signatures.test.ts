import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { PulledImage } from '@kata-agent/puller';
import { hasImageCode, type ImageErrorCode } from '@kata-agent/registry';
import { Authority } from '../harness/authority.js';
import { HostileRegistry } from '../harness/hostile-registry.js';
import {
  architecture,
  descriptor,
  imageOf,
  indexOf,
  indexType,
  manifestType,
  type Members,
  type Stored,
  stored,
} from '../harness/oci-image.js';
import { pullImage, shortLimits, type SignatureEntries, withSignatures } from '../harness/pull-settings.js';

const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const simpleSigningType = 'application/vnd.dev.cosign.simplesigning.v1+json';
const signPredicate = 'https://sigstore.dev/cosign/sign/v1';
const image = imageOf();
const other = imageOf({ config: { author: 'another' } });
const index = indexOf([{ image: image.manifest, platform: { os: 'linux', architecture } }]);

interface Key {
  readonly pem: string;
  readonly sign: (bytes: Uint8Array) => string;
}

function keyOf({
  privateKey,
  publicKey,
}: {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}): Key {
  const hash = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return {
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => sign(hash, bytes, privateKey).toString('base64'),
  };
}

const keys = {
  p256: keyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  ed25519: keyOf(generateKeyPairSync('ed25519')),
  rsa: keyOf(generateKeyPairSync('rsa', { modulusLength: 2_048 })),
  stranger: keyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
};

const base64 = (value: Members): string => Buffer.from(JSON.stringify(value)).toString('base64');

function statementOf(digest: string, change: Members = {}): Members {
  const [algorithm = '', hex = ''] = digest.split(':');
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { [algorithm]: hex } }],
    predicateType: signPredicate,
    predicate: {},
    ...change,
  };
}

/** What a DSSE envelope signs. */
function encoded(type: string, payload: string): Buffer {
  const bytes = Buffer.from(payload, 'base64');
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${bytes.length} `), bytes]);
}

function envelopeOf(
  key: Key,
  payload: string,
  type = 'application/vnd.in-toto+json',
  signedType = type,
): Members {
  return { payload, payloadType: type, signatures: [{ sig: key.sign(encoded(signedType, payload)) }] };
}

function bundleOf(content: Members, change: Members = {}): Members {
  return { mediaType: bundleType, verificationMaterial: { publicKey: { hint: 'x' } }, ...content, ...change };
}

const messageSignature = (key: Key, { bytes }: Stored): Members => ({
  messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: 'AAAA' }, signature: key.sign(bytes) },
});
const dsse = (key: Key, digest: string, change: Members = {}): Members => ({
  dsseEnvelope: envelopeOf(key, base64(statementOf(digest, change))),
});

describe('the signature policy', () => {
  const authority = new Authority('test CA');
  let registry: HostileRegistry;
  before(async () => {
    registry = await HostileRegistry.start(authority.server(['localhost']));
  });
  after(() => registry.stop());
  beforeEach(() => {
    registry.reset();
    registry.putImage(image, 'x');
    registry.putManifest(index, indexType, 'all');
    for (const { digest } of [index, image.manifest]) {
      registry.deleteManifest(digest.replace(':', '-'));
      registry.deleteManifest(`${digest.replace(':', '-')}.sig`);
    }
  });

  const name = (tag: string): string =>
    `localhost:${registry.port}/team/app${tag.startsWith('@') ? tag : `:${tag}`}`;
  const policy = (...trusted: readonly Key[]): SignatureEntries => [
    {
      scope: `localhost:${registry.port}/team/*`,
      keys: trusted.map(({ pem }) => pem),
      formats: ['bundle', 'simple-signing'],
    },
  ];
  const pulled = async (tag: string, entries: SignatureEntries | undefined): Promise<PulledImage> => {
    const settings = {
      registryCa: [authority.pem],
      ...(entries === undefined ? {} : withSignatures(entries)),
    };
    return (await pullImage(name(tag), settings, { limits: shortLimits })).image;
  };
  const refused = async (
    code: ImageErrorCode,
    tag: string,
    text: RegExp,
    ...trusted: readonly Key[]
  ): Promise<void> => {
    await assert.rejects(
      pulled(tag, policy(...(trusted.length === 0 ? [keys.p256] : trusted))),
      (error: unknown) => {
        assert.ok(hasImageCode(error, code), String(error));
        assert.match(error.message, text);
        return true;
      },
    );
    // Nothing of the image is fetched before its signature is verified.
    const fetched = registry.requests.filter(({ path }) =>
      image.layers.some(({ digest }) => path.includes(`/blobs/${digest}`)),
    );
    assert.deepEqual(fetched, []);
  };

  /** A manifest that refers to a subject, with a bundle; and the entry of an index for it. */
  const attach = (subject: Stored, bundle: Members | Buffer, change: Members = {}): Members => {
    const blob = stored(bundle);
    const artifact = stored({
      schemaVersion: 2,
      mediaType: manifestType,
      artifactType: bundleType,
      config: descriptor('application/vnd.oci.empty.v1+json', stored({})),
      layers: [descriptor(bundleType, blob)],
      subject: descriptor(manifestType, subject),
      ...change,
    });
    registry.putBlob(blob);
    registry.putManifest(artifact, manifestType);
    return descriptor(manifestType, artifact, { artifactType: bundleType });
  };
  const referrers = (entries: readonly Members[]): Stored =>
    stored({ schemaVersion: 2, mediaType: indexType, manifests: entries });
  /** As registries without the referrers API have them. */
  const byTag = (subject: Stored, ...bundles: readonly Members[]): void =>
    registry.putManifest(
      referrers(bundles.map((bundle) => attach(subject, bundle))),
      indexType,
      subject.digest.replace(':', '-'),
    );

  describe('with bundles', () => {
    it('accepts each kind of key, over a statement or the bytes', async () => {
      for (const key of [keys.p256, keys.ed25519, keys.rsa])
        for (const content of [dsse(key, image.manifest.digest), messageSignature(key, image.manifest)]) {
          byTag(image.manifest, bundleOf(content));
          const { signatures } = await pulled('x', policy(keys.stranger, key));
          assert.equal(signatures[0]?.format, 'bundle');
          assert.equal(signatures[0].signed, 'manifest');
        }
    });

    it('finds them by the referrers API before the tag', async () => {
      const entry = attach(index, bundleOf(dsse(keys.p256, index.digest)));
      registry.behaviour = (path, _request, response) => {
        if (!path.includes(`/referrers/${index.digest}?artifactType=`)) return false;
        response
          .writeHead(200, { 'Content-Type': indexType })
          .end(referrers([{ ...entry, artifactType: 'x' }, entry]).bytes);
        return true;
      };
      const { signatures, digest, manifestDigest } = await pulled('all', policy(keys.p256));
      assert.equal(signatures[0]?.signed, 'index');
      assert.equal(signatures[0].digest, index.digest);
      assert.deepEqual([digest, manifestDigest], [index.digest, image.manifest.digest]);
      assert.ok(registry.requests.every(({ path }) => !path.endsWith(index.digest.replace(':', '-'))));
    });

    it('finds them by the tag where the registry redirects, fails or answers with a page', async () => {
      byTag(image.manifest, bundleOf(dsse(keys.p256, image.manifest.digest)));
      for (const [status, headers] of [
        [303, { Location: 'https://other.example/' }],
        [400, {}],
        [405, {}],
        [200, { 'Content-Type': 'text/html' }],
      ] as const) {
        registry.behaviour = (path, _request, response) => {
          if (!path.includes('/referrers/')) return false;
          response.writeHead(status, headers).end('<html>');
          return true;
        };
        await pulled('x', policy(keys.p256));
      }
    });

    it('accepts a signature of the chosen manifest where the index has none', async () => {
      byTag(image.manifest, bundleOf(dsse(keys.p256, image.manifest.digest)));
      const { signatures, digest } = await pulled('all', policy(keys.p256));
      assert.equal(signatures[0]?.signed, 'manifest');
      assert.equal(digest, index.digest);
    });

    it('takes the valid one among others', async () => {
      const good = bundleOf(dsse(keys.p256, image.manifest.digest));
      byTag(image.manifest, bundleOf(dsse(keys.stranger, image.manifest.digest)), { x: 1 }, good);
      await pulled('x', policy(keys.p256));
    });

    it('takes those first that say to be signatures', async () => {
      const entries = Array.from({ length: 20 }, (_, n) =>
        attach(
          image.manifest,
          bundleOf(dsse(keys.p256, image.manifest.digest, { predicateType: 'https://example/x' }), { n }),
        ),
      );
      const good = attach(image.manifest, bundleOf(dsse(keys.p256, image.manifest.digest)));
      const annotations = { 'dev.sigstore.bundle.predicateType': signPredicate };
      // As cosign writes an index of its own.
      const index = referrers([
        ...entries,
        { ...good, annotations, artifactType: 'application/vnd.oci.empty.v1+json' },
      ]);
      registry.putManifest(index, indexType, image.manifest.digest.replace(':', '-'));
      await pulled('x', policy(keys.p256));
      assert.equal(registry.requests.filter(({ path }) => path.includes('/blobs/')).length, 4);
    });

    it('reads no more than 16 of them', async () => {
      const good = bundleOf(dsse(keys.p256, image.manifest.digest));
      const bad = Array.from({ length: 16 }, (_, n) =>
        bundleOf(dsse(keys.stranger, image.manifest.digest), { n }),
      );
      byTag(image.manifest, ...bad, good);
      await refused('signature-invalid', 'x', /made by another key/);
      const blobs = new Set(
        registry.requests.map(({ path }) => path).filter((path) => path.includes('/blobs/')),
      );
      assert.equal(blobs.size, 16);
    });

    const wrong: readonly (readonly [string, Members, RegExp])[] = [
      ['of another key', dsse(keys.stranger, image.manifest.digest), /made by another key/],
      ['of another image', dsse(keys.p256, other.manifest.digest), /for another digest/],
      ['of the bytes of another image', messageSignature(keys.p256, other.manifest), /other bytes/],
      [
        'of a statement without subjects',
        dsse(keys.p256, image.manifest.digest, { subject: [] }),
        /for another digest/,
      ],
      [
        'of another algorithm',
        dsse(keys.p256, image.manifest.digest, {
          subject: [{ digest: { sha512: image.manifest.digest.slice(7) } }],
        }),
        /for another digest/,
      ],
      [
        'that is an attestation',
        dsse(keys.p256, image.manifest.digest, { predicateType: 'https://slsa.dev/provenance/v1' }),
        /an attestation/,
      ],
      [
        'of another statement',
        dsse(keys.p256, image.manifest.digest, { _type: 'https://example/x' }),
        /another statement/,
      ],
      [
        'of another type than it says',
        {
          dsseEnvelope: envelopeOf(
            keys.p256,
            base64(statementOf(image.manifest.digest)),
            'application/vnd.in-toto+json',
            'x/y',
          ),
        },
        /made by another key/,
      ],
      [
        'of another payload',
        { dsseEnvelope: envelopeOf(keys.p256, base64(statementOf(image.manifest.digest)), 'x/y') },
        /another payload/,
      ],
      [
        'with a name twice',
        {
          dsseEnvelope: envelopeOf(
            keys.p256,
            Buffer.from(
              `{"predicateType":"${signPredicate}",${JSON.stringify(statementOf(image.manifest.digest)).slice(1)}`,
            ).toString('base64'),
          ),
        },
        /malformed/,
      ],
      [
        'of both kinds',
        { ...dsse(keys.p256, image.manifest.digest), ...messageSignature(keys.p256, image.manifest) },
        /malformed/,
      ],
      [
        'by a certificate',
        {
          ...dsse(keys.p256, image.manifest.digest),
          verificationMaterial: { certificate: { rawBytes: 'AAAA' } },
        },
        /keyless/,
      ],
      [
        'of version 0.2',
        {
          ...dsse(keys.p256, image.manifest.digest),
          mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2',
        },
        /another version/,
      ],
    ];
    for (const [what, bundle, text] of wrong)
      it(`refuses one ${what}`, async () => {
        byTag(image.manifest, bundleOf(bundle));
        await refused('signature-invalid', 'x', text);
      });

    it('refuses one whose manifest is of another subject, or is of another type', async () => {
      const bundle = bundleOf(dsse(keys.p256, image.manifest.digest));
      for (const change of [{ subject: descriptor(manifestType, other.manifest) }, { subject: undefined }]) {
        registry.putManifest(
          referrers([attach(image.manifest, bundle, change)]),
          indexType,
          image.manifest.digest.replace(':', '-'),
        );
        await refused('signature-missing', 'x', /no bundle or simple-signing signature/);
      }
    });
  });

  describe('with simple signing', () => {
    const payloadOf = (digest: string, reference: string, change: Members = {}): Members => ({
      critical: {
        identity: { 'docker-reference': reference },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
        ...change,
      },
      optional: null,
    });
    const attachText = (subject: Stored, text: Stored, signature: string): void => {
      registry.putBlob(text);
      const manifest = stored({
        schemaVersion: 2,
        mediaType: manifestType,
        config: descriptor('application/vnd.oci.image.config.v1+json', stored({})),
        layers: [
          descriptor(simpleSigningType, text, {
            annotations: { 'dev.cosignproject.cosign/signature': signature },
          }),
        ],
      });
      registry.putManifest(manifest, manifestType, `${subject.digest.replace(':', '-')}.sig`);
    };
    const attachPayload = (key: Key, payload: Members): void => {
      const text = stored(payload);
      attachText(image.manifest, text, key.sign(text.bytes));
    };
    const repository = (): string => `localhost:${registry.port}/team/app`;

    it('accepts each kind of key, with and without the tag', async () => {
      for (const key of [keys.p256, keys.ed25519, keys.rsa])
        for (const signed of [repository(), `${repository()}:x`]) {
          attachPayload(key, payloadOf(image.manifest.digest, signed));
          const { signatures } = await pulled('x', policy(key));
          assert.equal(signatures[0]?.format, 'simple-signing');
          await pulled(`@${image.manifest.digest}`, policy(key));
        }
      // By digest, the tag that was signed does not matter.
      attachPayload(keys.p256, payloadOf(image.manifest.digest, `${repository()}:other`));
      await pulled(`@${image.manifest.digest}`, policy(keys.p256));
      registry.reset();
      await refused('signature-invalid', 'x', /another repository or tag/);
    });

    it('refuses one of something else', async () => {
      const wrong: readonly (readonly [Members, RegExp])[] = [
        [payloadOf(other.manifest.digest, repository()), /another digest/],
        [payloadOf(image.manifest.digest, `localhost:${registry.port}/team/other`), /another repository/],
        [payloadOf(image.manifest.digest, 'registry.example/team/app'), /another repository/],
        [payloadOf(image.manifest.digest, `${repository()}:y`), /another repository or tag/],
        [payloadOf(image.manifest.digest, ''), /another repository/],
        [
          payloadOf(image.manifest.digest, repository(), { type: 'atomic container signature' }),
          /another type/,
        ],
        [payloadOf(image.manifest.digest, repository(), { identity: [] }), /malformed/],
      ];
      for (const [payload, text] of wrong) {
        attachPayload(keys.p256, payload);
        await refused('signature-invalid', 'x', text);
      }
      attachPayload(keys.stranger, payloadOf(image.manifest.digest, repository()));
      await refused('signature-invalid', 'x', /made by another key/);
      // A valid signature with another text.
      const signature = keys.p256.sign(stored(payloadOf(other.manifest.digest, repository())).bytes);
      attachText(image.manifest, stored(payloadOf(image.manifest.digest, repository())), signature);
      await refused('signature-invalid', 'x', /made by another key/);
      // A valid text under another digest: what is stored is not what the manifest names.
      const text = stored(payloadOf(image.manifest.digest, repository()));
      const digest = `sha256:${'0'.repeat(64)}`;
      attachText(image.manifest, { bytes: text.bytes, digest }, keys.p256.sign(text.bytes));
      await refused('digest-mismatch', 'x', /has another digest/);
    });
  });

  it('refuses an image without signatures, and accepts each image without a policy', async () => {
    await refused('signature-missing', 'x', /no bundle or simple-signing signature/);
    await pulled('x', undefined);
  });

  it('refuses an image that no scope matches, and needs each scope that does', async () => {
    byTag(image.manifest, bundleOf(dsse(keys.p256, image.manifest.digest)));
    const elsewhere = policy(keys.p256).map((each) => ({ ...each, scope: 'registry.example/**' }));
    await assert.rejects(pulled('x', elsewhere), (error) => hasImageCode(error, 'signature-scope-missing'));
    const all = policy(keys.p256, keys.stranger).map((each) => ({ ...each, scope: '**' }));
    assert.equal((await pulled('x', [...elsewhere, ...policy(keys.p256), ...all])).signatures.length, 2);
    const another = policy(keys.stranger).map((each) => ({ ...each, scope: '**' }));
    await assert.rejects(pulled('x', [...policy(keys.p256), ...another]), (error) =>
      hasImageCode(error, 'signature-invalid'),
    );
  });
});
