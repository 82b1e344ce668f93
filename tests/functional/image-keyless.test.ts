import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { keylessCheck, type PulledImage } from '@kata-agent/puller';
import { hasImageCode, type ImageErrorCode, parseReference } from '@kata-agent/registry';
import { assert as assertProperty, asyncProperty, integer, nat } from 'fast-check';
import { Authority } from '../harness/authority.js';
import { HostileRegistry } from '../harness/hostile-registry.js';
import {
  descriptor,
  imageOf,
  indexType,
  manifestType,
  type Members,
  type Stored,
  stored,
} from '../harness/oci-image.js';
import { pullImage, shortLimits, type SignatureEntries, withSignatures } from '../harness/pull-settings.js';
import {
  bundleEntry,
  certificatePem,
  dsseEntry,
  hashedEntry,
  type KeylessSigner,
  type LogEntry,
  Sigstore,
  verifierOf,
} from '../harness/sigstore.js';

const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const payloadType = 'application/vnd.in-toto+json';
const image = imageOf();
const other = imageOf({ config: { author: 'another' } });
const subject = 'https://github.com/team/app/.github/workflows/release.yml@refs/heads/main';
const issuer = 'https://token.actions.githubusercontent.com';
const minute = 60_000;

function payloadOf(digest: string, predicateType = 'https://sigstore.dev/cosign/sign/v1'): Buffer {
  const [algorithm = '', hex = ''] = digest.split(':');
  return Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { [algorithm]: hex } }],
      predicateType,
      predicate: {},
    }),
  );
}

function encoded(payload: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
}

interface BundleParts {
  readonly certificate: Buffer;
  readonly entries: readonly Members[];
  readonly content: Members;
}

function bundleOf({ certificate, entries, content }: BundleParts): Members {
  return {
    mediaType: bundleType,
    verificationMaterial: {
      certificate: { rawBytes: certificate.toString('base64') },
      tlogEntries: entries,
    },
    ...content,
  };
}

const envelopeOf = (payload: Buffer, signature: Buffer): Members => ({
  dsseEnvelope: {
    payload: payload.toString('base64'),
    payloadType,
    signatures: [{ sig: signature.toString('base64') }],
  },
});

/** Signs as `cosign sign` of version 3 does. */
async function signedParts(
  sigstore: Sigstore,
  { signer, payload = payloadOf(image.manifest.digest) }: { signer?: KeylessSigner; payload?: Buffer } = {},
): Promise<BundleParts> {
  const { certificate, sign } = signer ?? (await sigstore.signer(subject, issuer));
  const signature = sign(encoded(payload));
  const entry = await sigstore.entry(dsseEntry(payload, signature, verifierOf(certificate)));
  return { certificate, entries: [bundleEntry(entry)], content: envelopeOf(payload, signature) };
}

interface SignedBundle {
  readonly dsseEnvelope: {
    readonly payload: string;
    readonly signatures: readonly { readonly sig: string }[];
  };
}

describe('keyless signatures', () => {
  const authority = new Authority('test CA');
  let registry: HostileRegistry;
  let sigstore: Sigstore;
  let another: Sigstore;
  before(async () => {
    registry = await HostileRegistry.start(authority.server(['localhost']));
    sigstore = await Sigstore.create();
    another = await Sigstore.create();
  });
  after(() => registry.stop());
  beforeEach(() => {
    registry.reset();
    registry.putImage(image, 'x');
    registry.deleteManifest(image.manifest.digest.replace(':', '-'));
    registry.deleteManifest(`${image.manifest.digest.replace(':', '-')}.sig`);
  });

  const name = (): string => `localhost:${registry.port}/team/app`;
  const policy = ({
    trustedRoot = sigstore.trustedRoot(),
    identities = [{ issuer, subject }],
  } = {}): SignatureEntries => [
    {
      scope: `localhost:${registry.port}/team/*`,
      keys: [],
      keyless: { trustedRoot, identities },
      formats: ['bundle', 'simple-signing'],
    },
  ];
  const pulled = async (entries = policy(), tag = ':x'): Promise<PulledImage> => {
    const settings = { registryCa: [authority.pem], ...withSignatures(entries) };
    return (await pullImage(`${name()}${tag}`, settings, { limits: shortLimits })).image;
  };
  const refused = async (text: RegExp, entries = policy(), code: ImageErrorCode = 'signature-invalid') => {
    await assert.rejects(pulled(entries), (error: unknown) => {
      assert.ok(hasImageCode(error, code), String(error));
      assert.match(error.message, text);
      return true;
    });
    const layers = registry.requests.filter(({ path }) =>
      image.layers.some(({ digest }) => path.includes(`/blobs/${digest}`)),
    );
    assert.deepEqual(layers, []);
  };
  const attach = (...bundles: readonly Members[]): void => {
    const entries = bundles.map((bundle) => {
      const blob = stored(bundle);
      const artifact = stored({
        schemaVersion: 2,
        mediaType: manifestType,
        artifactType: bundleType,
        config: descriptor('application/vnd.oci.empty.v1+json', stored({})),
        layers: [descriptor(bundleType, blob)],
        subject: descriptor(manifestType, image.manifest),
      });
      registry.putBlob(blob);
      registry.putManifest(artifact, manifestType);
      return descriptor(manifestType, artifact, { artifactType: bundleType });
    });
    registry.putManifest(
      stored({ schemaVersion: 2, mediaType: indexType, manifests: entries }),
      indexType,
      image.manifest.digest.replace(':', '-'),
    );
  };

  describe('in bundles', () => {
    it('are accepted by identity and issuer, over a statement or the bytes', async () => {
      attach(bundleOf(await signedParts(sigstore)));
      const { signatures } = await pulled();
      assert.deepEqual(
        signatures.map(({ format, signer, signed, digest }) => ({ format, signer, signed, digest })),
        [
          {
            format: 'bundle',
            signer: `${subject} by ${issuer}`,
            signed: 'manifest',
            digest: image.manifest.digest,
          },
        ],
      );
      attach(bundleOf(await messageParts(image.manifest)));
      await pulled(
        policy({
          identities: [
            { issuer, subject: 'x' },
            { issuer, subject },
          ],
        }),
      );
    });

    const messageParts = async (object: Stored): Promise<BundleParts> => {
      const { certificate, sign } = await sigstore.signer(subject, issuer);
      const signature = sign(object.bytes);
      const entry = await sigstore.entry(hashedEntry(object.bytes, signature, verifierOf(certificate)));
      const digest = Buffer.from(object.digest.slice('sha256:'.length), 'hex').toString('base64');
      return {
        certificate,
        entries: [bundleEntry(entry)],
        content: {
          messageSignature: {
            messageDigest: { algorithm: 'SHA2_256', digest },
            signature: signature.toString('base64'),
          },
        },
      };
    };

    it('are accepted if one of two is valid', async () => {
      const good = bundleOf(await signedParts(sigstore));
      attach(bundleOf(await signedParts(another)), good);
      await pulled();
      attach({ x: 1 }, bundleOf({ ...(await signedParts(sigstore)), entries: [] }), good);
      await pulled();
    });

    it('are refused by another identity or issuer, also if only a part of it is the same', async () => {
      attach(bundleOf(await signedParts(sigstore)));
      for (const identity of [
        { issuer, subject: 'https://github.com/other/app/.github/workflows/release.yml@refs/heads/main' },
        { issuer: 'https://accounts.example.com', subject },
        { issuer: subject, subject: issuer },
        { issuer, subject: subject.slice(0, -1) },
        { issuer, subject: `${subject}x` },
        // The library takes the name for a regular expression.
        { issuer, subject: '.*' },
        { issuer, subject: subject.toUpperCase() },
        { issuer: `${issuer}/`, subject },
      ])
        await refused(/by another identity or issuer/, policy({ identities: [identity] }));
    });

    it('are refused if only the library reads the name of the certificate as the configured one', async () => {
      // It drops the high bit of each byte: "á" in UTF-8 becomes "C!".
      const signer = await sigstore.signer(subject.replace('team', 'te\u00e1m'), issuer);
      attach(bundleOf(await signedParts(sigstore, { signer })));
      const identity = { issuer, subject: subject.replace('team', 'teC!m') };
      await refused(/by another identity or issuer/, policy({ identities: [identity] }));
    });

    it('are refused if the certificate was not valid when the log took the signature', async () => {
      for (const minutes of [-5, 11, 60 * 24 * 366]) {
        const late = await Sigstore.create({ loggedAt: new Date(Date.now() + minutes * minute) });
        attach(bundleOf(await signedParts(late)));
        await refused(
          /no CA of trusted_root issued for that time/,
          policy({ trustedRoot: late.trustedRoot() }),
        );
      }
    });

    it('are refused of another image, and as attestations', async () => {
      attach(bundleOf(await signedParts(sigstore, { payload: payloadOf(other.manifest.digest) })));
      await refused(/for another digest/);
      attach(bundleOf(await messageParts(other.manifest)));
      await refused(/for other bytes/);
      const payload = payloadOf(image.manifest.digest, 'https://slsa.dev/provenance/v1');
      attach(bundleOf(await signedParts(sigstore, { payload })));
      await refused(/an attestation/);
    });

    it('are refused without an entry of the log, or with one of another signature or certificate', async () => {
      const parts = await signedParts(sigstore);
      attach(bundleOf({ ...parts, entries: [] }));
      await refused(/without an entry of a transparency log/);
      attach(bundleOf({ ...parts, entries: (await signedParts(sigstore)).entries }));
      await refused(/with an entry of another signature/);
      const { certificate, sign } = await sigstore.signer(subject, issuer);
      const payload = payloadOf(image.manifest.digest);
      const signature = sign(encoded(payload));
      // The bare key, as somebody would log it who does not want that the identity is found there.
      const key = createPublicKey({ key: certificatePem(certificate), format: 'pem' });
      const bare = Buffer.from(key.export({ type: 'spki', format: 'pem' })).toString('base64');
      for (const verifier of [bare, verifierOf(parts.certificate)]) {
        const entry = await sigstore.entry(dsseEntry(payload, signature, verifier));
        attach(
          bundleOf({ certificate, entries: [bundleEntry(entry)], content: envelopeOf(payload, signature) }),
        );
        await refused(/with an entry of another certificate/);
      }
    });

    it('are refused if the entry is of another log, or nothing but a time that nobody promises', async () => {
      attach(bundleOf(await signedParts(sigstore)));
      await refused(
        /no transparency log of trusted_root promises/,
        policy({ trustedRoot: sigstore.trustedRoot({ log: another.log }) }),
      );
      await refused(
        /no transparency log of trusted_root promises/,
        policy({ trustedRoot: sigstore.trustedRoot({ logEnds: '2021-01-01T00:00:00Z' }) }),
      );
      const { entries, ...parts } = await signedParts(sigstore);
      const [entry = {}] = entries;
      const { inclusionPromise: _promise, ...unpromised } = entry;
      attach(bundleOf({ ...parts, entries: [unpromised] }));
      await refused(/without a valid time/);
    });

    it('are refused with a proof or a promise of another entry', async () => {
      const { entries, ...parts } = await signedParts(sigstore);
      const [foreign = {}] = (await signedParts(sigstore)).entries;
      const [entry = {}] = entries;
      for (const change of [
        { inclusionProof: foreign.inclusionProof },
        { inclusionPromise: foreign.inclusionPromise },
        { integratedTime: String(Number(entry.integratedTime) + 1) },
        { logIndex: '1' },
        { canonicalizedBody: foreign.canonicalizedBody },
      ]) {
        attach(bundleOf({ ...parts, entries: [{ ...entry, ...change }] }));
        await refused(/with an entry that no transparency log/);
      }
    });

    it('are refused of another CA, and of one whose certificates are in no certificate log', async () => {
      attach(bundleOf(await signedParts(sigstore)));
      await refused(
        /no CA of trusted_root issued/,
        policy({ trustedRoot: sigstore.trustedRoot({ authority: another.authority }) }),
      );
      await refused(
        /no CA of trusted_root issued/,
        policy({ trustedRoot: sigstore.trustedRoot({ certificateLog: another.certificateLog }) }),
      );
      const unlogged = await Sigstore.create({ withoutCertificateLog: true });
      attach(bundleOf(await signedParts(unlogged)));
      await refused(/no CA of trusted_root issued/, policy({ trustedRoot: unlogged.trustedRoot() }));
    });

    it('are refused with the certificate of another key, and without one', async () => {
      const parts = await signedParts(sigstore);
      const { certificate } = await sigstore.signer(subject, issuer);
      attach(bundleOf({ ...parts, certificate }));
      await refused(/made by another key than that of its certificate/);
      attach({
        ...bundleOf(parts),
        verificationMaterial: { publicKey: { hint: 'x' }, tlogEntries: parts.entries },
      });
      await refused(/made with a key/);
      attach(bundleOf({ ...parts, certificate: Buffer.from('x') }));
      await refused(/malformed/);
    });

    it('do not keep the agent busy before they are verified', async () => {
      const { entries, ...parts } = await signedParts(sigstore);
      const [entry = {}] = entries;
      const proof = entry.inclusionProof as Members;
      const { envelope } = proof.checkpoint as { readonly envelope: string };
      // The name is a regular expression in the library, which takes minutes for 50 characters, if the key's hint is right.
      const slow = envelope.replace(/\u2014 \S+/, `\u2014 ${'(.*)'.repeat(12)}!`);
      assert.notEqual(slow, envelope);
      for (const change of [
        { checkpoint: { envelope: slow } },
        { treeSize: '9'.repeat(100_000) },
        { logIndex: '9'.repeat(100_000) },
        { hashes: Array.from({ length: 1_000 }, () => '') },
        { checkpoint: { envelope: `${envelope}${'x'.repeat(9_000)}` } },
      ]) {
        attach(bundleOf({ ...parts, entries: [{ ...entry, inclusionProof: { ...proof, ...change } }] }));
        await refused(/malformed/);
      }
      attach(bundleOf({ ...parts, entries: Array.from({ length: 5 }, () => entry) }));
      await refused(/malformed/);
    });

    it('count with any byte changed only if what is signed is the same', async () => {
      const reference = parseReference(`${name()}:x`);
      const check = await keylessCheck({
        trustedRoot: sigstore.trustedRoot(),
        identities: [{ issuer, subject }],
      });
      const digest = image.manifest.digest as `sha256:${string}`;
      const object = { digest, bytes: image.manifest.bytes };
      const bytes = Buffer.from(JSON.stringify(bundleOf(await signedParts(sigstore))));
      const checked = (bundle: Buffer) => check({ format: 'bundle', digest, bundle }, object, reference);
      const signed = (bundle: Buffer): readonly Buffer[] => {
        const { payload, signatures } = (JSON.parse(bundle.toString()) as SignedBundle).dsseEnvelope;
        return [payload, ...signatures.map(({ sig }) => sig)].map((text) => Buffer.from(text, 'base64'));
      };
      assert.equal(typeof checked(bytes), 'object');
      await assertProperty(
        asyncProperty(nat(bytes.length - 1), integer({ min: 1, max: 255 }), async (at, bits) => {
          const changed = Buffer.from(bytes);
          changed.writeUInt8(changed.readUInt8(at) ^ bits, at);
          if (typeof checked(changed) === 'object') assert.deepEqual(signed(changed), signed(bytes));
        }),
        { numRuns: 400 },
      );
      await assertProperty(
        asyncProperty(nat(bytes.length - 1), async (length) => {
          assert.equal(checked(bytes.subarray(0, length)), 'malformed');
        }),
        { numRuns: 50 },
      );
    });

    it('do not count where a scope has keys', async () => {
      attach(bundleOf(await signedParts(sigstore)));
      const { certificate } = await sigstore.signer(subject, issuer);
      const key = createPublicKey({ key: certificatePem(certificate), format: 'pem' });
      const pem = key.export({ type: 'spki', format: 'pem' }).toString();
      const scope = `localhost:${registry.port}/team/*`;
      await refused(/keyless, and this scope has keys/, [{ scope, keys: [pem], formats: ['bundle'] }]);
    });
  });

  describe('in simple signing', () => {
    const textOf = (digest: string, repository: string): Buffer =>
      Buffer.from(
        JSON.stringify({
          critical: {
            identity: { 'docker-reference': repository },
            image: { 'docker-manifest-digest': digest },
            type: 'cosign container image signature',
          },
          optional: null,
        }),
      );
    const answerOf = ({ body, integratedTime, logIndex, logID, verification }: LogEntry): Members => ({
      SignedEntryTimestamp: verification.signedEntryTimestamp,
      Payload: { body, integratedTime, logIndex, logID },
    });
    const attachText = async (
      text: Buffer,
      { by = sigstore, change = {} }: { readonly by?: Sigstore; readonly change?: Members } = {},
    ): Promise<void> => {
      const { certificate, sign } = await by.signer(subject, issuer);
      const signature = sign(text);
      const entry = await by.entry(hashedEntry(text, signature, verifierOf(certificate)));
      const blob = { bytes: text, digest: stored(text).digest };
      const annotations = {
        'dev.cosignproject.cosign/signature': signature.toString('base64'),
        'dev.sigstore.cosign/certificate': certificatePem(certificate),
        'dev.sigstore.cosign/bundle': JSON.stringify(answerOf(entry)),
        ...change,
      };
      registry.putBlob(blob);
      registry.putManifest(
        stored({
          schemaVersion: 2,
          mediaType: manifestType,
          config: descriptor('application/vnd.oci.image.config.v1+json', stored({})),
          layers: [descriptor('application/vnd.dev.cosign.simplesigning.v1+json', blob, { annotations })],
        }),
        manifestType,
        `${image.manifest.digest.replace(':', '-')}.sig`,
      );
    };

    it('are accepted by identity and issuer', async () => {
      await attachText(textOf(image.manifest.digest, name()));
      const { signatures } = await pulled();
      assert.deepEqual(
        signatures.map(({ format, signer }) => [format, signer]),
        [['simple-signing', `${subject} by ${issuer}`]],
      );
    });

    it('are refused of something else, of another CA or log, and without what proves them', async () => {
      const text = textOf(image.manifest.digest, name());
      await attachText(textOf(other.manifest.digest, name()));
      await refused(/for another digest/);
      await attachText(textOf(image.manifest.digest, 'registry.example/team/app'));
      await refused(/for another repository/);
      await attachText(text);
      await refused(
        /by another identity or issuer/,
        policy({ identities: [{ issuer, subject: `${subject}2` }] }),
      );
      await attachText(text, { by: another });
      await refused(/no CA of trusted_root issued/);
      await refused(
        /no transparency log of trusted_root promises/,
        policy({ trustedRoot: another.trustedRoot({ log: sigstore.log }) }),
      );
      const late = await Sigstore.create({ loggedAt: new Date(Date.now() + 11 * minute) });
      await attachText(text, { by: late });
      await refused(
        /no CA of trusted_root issued for that time/,
        policy({ trustedRoot: late.trustedRoot() }),
      );
      const foreign = await sigstore.entry({
        kind: 'hashedrekord',
        apiVersion: '0.0.1',
        spec: { data: {}, signature: {} },
      });
      for (const [change, reason] of [
        [
          { 'dev.sigstore.cosign/bundle': JSON.stringify(answerOf(foreign)) },
          /with an entry of another signature/,
        ],
        [{ 'dev.sigstore.cosign/bundle': '{}' }, /malformed/],
        [{ 'dev.sigstore.cosign/certificate': 'x' }, /malformed/],
        [{ 'dev.sigstore.cosign/bundle': undefined }, /without a certificate and an entry/],
        [{ 'dev.sigstore.cosign/certificate': undefined }, /without a certificate and an entry/],
      ] as const) {
        await attachText(text, { change });
        await refused(reason);
      }
    });
  });

  it('need a trusted root that can be read', async () => {
    const whole = JSON.parse(sigstore.trustedRoot()) as Members;
    for (const [text, reason] of [
      ['x', /is not valid JSON/],
      ['{}', /is no Sigstore trusted root/],
      [JSON.stringify({ ...whole, tlogs: [] }), /has no tlogs/],
      [JSON.stringify({ ...whole, certificateAuthorities: [] }), /has no certificateAuthorities/],
      [JSON.stringify({ ...whole, ctlogs: undefined }), /has no ctlogs/],
      [
        JSON.stringify({
          ...whole,
          certificateAuthorities: [{ certChain: { certificates: [{ rawBytes: 'AAAA' }] } }],
        }),
        /cannot be read/,
      ],
    ] as const)
      await refused(reason, policy({ trustedRoot: text }), 'settings-invalid');
  });
});
