import { createHash, X509Certificate } from 'node:crypto';
import { FormError, JsonFields } from '@kata-agent/base';
import { contextTag, der, objectIdentifier, sequence, Tag } from '@kata-agent/x509';
import { type Bundle, bundleFromJSON, ValidationError } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import {
  type SignedEntity,
  type Signer,
  toSignedEntity,
  toTrustMaterial,
  type TrustMaterial,
  VerificationError,
  Verifier,
} from '@sigstore/verify';
import { ImageError, quoted } from '@kata-agent/registry';

const oids = {
  subjectAltName: '2.5.29.17',
  extendedKeyUsage: '2.5.29.37',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  /** Fulcio's: the issuer as a UTF8String. */
  issuer: '1.3.6.1.4.1.57264.1.8',
} as const;

const generalName = { email: 1, uri: 6 } as const;

/** Where each kind of an entry has the certificate of its signature: PEM in base64, or DER. */
const certificateByEntryKind: Readonly<Record<string, (spec: JsonFields) => Uint8Array>> = {
  'hashedrekord 0.0.1': (spec) => pem(spec.object('signature').object('publicKey').base64('content')),
  'dsse 0.0.1': (spec) => pem(only(spec.objects('signatures', 1)).base64('verifier')),
  'intoto 0.0.2': (spec) =>
    pem(only(spec.object('content').object('envelope').objects('signatures', 1)).base64('publicKey')),
  'hashedrekord 0.0.2': (spec) => rawBytes(spec.object('hashedRekordV002').object('signature')),
  'dsse 0.0.2': (spec) => rawBytes(only(spec.object('dsseV002').objects('signatures', 1))),
};

/** `v0.1`, as `cosign trusted-root create` and the public instance write it, and its other form. */
const trustedRootMediaTypes: readonly unknown[] = [
  'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  'application/vnd.dev.sigstore.trustedroot.v0.1+json',
  'application/vnd.dev.sigstore.trustedroot.v0.2+json',
];

const maxInstances = 100;
const maxEntries = 4;
const maxTimestamps = 4;
const maxHashes = 64;
const maxCheckpointLength = 8_192;
const maxCheckpointSignatures = 16;
const number = /^\d{1,19}$/;

/** What a signer has signed: the bytes that the caller has, or a DSSE envelope. */
export interface KeylessSignature {
  readonly identity: SignerIdentity;
  readonly envelope?: { readonly payloadType: string; readonly payload: Uint8Array };
}

/** Nothing that a registry chose goes into a message. */
const reasons: Readonly<Record<string, string>> = {
  TIMESTAMP_ERROR: 'without a valid time of a log or timestamp authority of trusted_root',
  CERTIFICATE_ERROR:
    'by a certificate that no CA of trusted_root issued for that time, or that none of its certificate logs has',
  TLOG_ERROR: 'without an entry of a transparency log',
  TLOG_INCLUSION_PROOF_ERROR: 'with an entry that no transparency log of trusted_root proves',
  TLOG_INCLUSION_PROMISE_ERROR: 'with an entry that no transparency log of trusted_root promises',
  TLOG_MISSING_INCLUSION_ERROR: 'with an entry that no transparency log of trusted_root promises',
  TLOG_BODY_ERROR: 'with an entry of another signature',
  SIGNATURE_ERROR: 'made by another key than that of its certificate, or for other bytes',
};

/** Verifies Sigstore bundles of signers without a key, offline, by a trusted root and a list of identities. */
export class KeylessVerifier {
  readonly #trust: TrustMaterial;
  readonly #identities: readonly SignerIdentity[];

  /** Throws an ImageError for a trusted root that cannot be read. */
  constructor({ trustedRoot, identities }: KeylessSettings) {
    this.#trust = parseTrustedRoot(trustedRoot);
    this.#identities = identities;
  }

  /**
   * Verifies a bundle; `artifact`: the signed bytes, unless it has an envelope. Returns what is signed and by whom, or why the bundle
   * does not count. The certificate must be valid at the time that a log or a timestamp authority has signed: no clock is read.
   */
  verify(bundle: Uint8Array, artifact: Uint8Array): KeylessSignature | string {
    let parsed: Bundle;
    try {
      const fields = JsonFields.parse(bundle, 'the bundle');
      const fault = faultOfForm(fields.object('verificationMaterial'));
      if (fault !== undefined) return fault;
      parsed = bundleFromJSON(JSON.parse(Buffer.from(bundle).toString()));
    } catch (error) {
      if (error instanceof FormError || error instanceof ValidationError) return 'malformed';
      return unexpected(error);
    }
    return this.#verifyParsed(parsed, artifact);
  }

  #verifyParsed(bundle: Bundle, artifact: Uint8Array): KeylessSignature | string {
    const { content, verificationMaterial } = bundle;
    const certificate = certificateOf(bundle);
    if (certificate === undefined) return 'made with a key, and not keyless';
    if (content.$case === 'messageSignature' && !isDigestOf(content.messageSignature.messageDigest, artifact))
      return 'for other bytes';
    let signer: Signer;
    try {
      const entity = toSignedEntity(bundle, Buffer.from(artifact));
      const thresholds = { ctlogThreshold: 1, tlogThreshold: 1, timestampThreshold: 1 };
      signer = new Verifier(this.#trustAt(entity), thresholds).verify(entity);
    } catch (error) {
      return error instanceof VerificationError
        ? (reasons[error.code] ?? 'not valid by trusted_root')
        : unexpected(error);
    }
    const identity = identityOf(signer, this.#identities);
    if (typeof identity === 'string') return identity;
    if (!verificationMaterial.tlogEntries.every((entry) => entryNames(entry.canonicalizedBody, certificate)))
      return 'with an entry of another certificate';
    return content.$case === 'dsseEnvelope' ? { identity, envelope: content.dsseEnvelope } : { identity };
  }

  /** Returns the trusted root without logs whose key is not valid at the times of the bundle: a proof alone has no time. */
  #trustAt({ timestamps }: SignedEntity): TrustMaterial {
    const times = timestamps.map((each) =>
      each.$case === 'timestamp-authority'
        ? each.timestamp.signingTime
        : new Date(Number(each.tlogEntry.integratedTime) * 1_000),
    );
    const tlogs = this.#trust.tlogs.filter(({ validFor: { start, end } }) =>
      times.every((time) => start <= time && time <= end),
    );
    return { ...this.#trust, tlogs };
  }
}

/** Returns the DER of the signer's certificate. */
function certificateOf({ verificationMaterial: { content } }: Bundle): Uint8Array | undefined {
  switch (content.$case) {
    case 'certificate':
      return content.certificate.rawBytes;
    case 'x509CertificateChain':
      return content.x509CertificateChain.certificates[0]?.rawBytes;
    case 'publicKey':
      return undefined;
    default:
      return content satisfies never;
  }
}

const sha256 = 1;

function isDigestOf(
  { algorithm, digest }: { readonly algorithm: number; readonly digest: Uint8Array },
  bytes: Uint8Array,
): boolean {
  return algorithm === sha256 && createHash('sha256').update(bytes).digest().equals(digest);
}

/** The library throws errors of many kinds, also TypeErrors, at bytes that are not a certificate, checkpoint or timestamp. */
function unexpected(error: unknown): string {
  if (error instanceof Error) return 'malformed';
  throw error;
}

/**
 * Returns why a bundle is not given to the library; undefined: it is. Bounds what the library does without bounds before it has verified
 * anything: it compares the name of each signature of a checkpoint with a log's as a regular expression (a name of 50 characters keeps
 * it busy for minutes), and takes any number of entries, timestamps and digits. Members of another type throw the error of the fields.
 */
function faultOfForm(material: JsonFields): string | undefined {
  const entries = material.has('tlogEntries') ? material.objects('tlogEntries', maxEntries) : [];
  if (entries.length === 0) return 'without an entry of a transparency log';
  for (const entry of entries) {
    // A bundle of an attachment has none; the library demands one of all others.
    const proof = entry.optionalObject('inclusionProof');
    proof?.optionalStrings('hashes', maxHashes);
    const numbers = [
      ...[entry, proof].map((fields) => fields?.optionalString('logIndex')),
      entry.optionalString('integratedTime'),
      proof?.optionalString('treeSize'),
    ];
    if (!numbers.every((text) => text === undefined || number.test(text))) return 'malformed';
    if (proof !== undefined && !isPlainCheckpoint(proof.object('checkpoint').string('envelope')))
      return 'malformed';
  }
  material.optionalObject('timestampVerificationData')?.array('rfc3161Timestamps', maxTimestamps);
  return undefined;
}

/** Reports whether each name of a signature has only characters that are themselves in a regular expression, or `.`. */
function isPlainCheckpoint(envelope: string): boolean {
  if (envelope.length > maxCheckpointLength) return false;
  const names = [...envelope.matchAll(/\u2014\s+(\S+)/g)].map(([, name = '']) => name);
  return names.length <= maxCheckpointSignatures && names.every((name) => /^[\w.:/-]+$/.test(name));
}

/** Parses a trusted root, which is a part of the configuration. Throws an ImageError. */
function parseTrustedRoot(text: string): TrustMaterial {
  const invalid = (why: string): ImageError => new ImageError('settings-invalid', `trusted_root ${why}`);
  const fields = JsonFields.parse(
    Buffer.from(text),
    'trusted_root',
    (why) => new ImageError('settings-invalid', why),
  );
  if (!trustedRootMediaTypes.includes(fields.get('mediaType'))) throw invalid('is no Sigstore trusted root');
  for (const name of ['certificateAuthorities', 'ctlogs', 'tlogs'])
    if (!fields.has(name) || fields.objects(name, maxInstances).length === 0) throw invalid(`has no ${name}`);
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(text)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(`has a certificate or key that cannot be read: ${quoted(why)}`);
  }
}

/**
 * Reports whether an entry of a transparency log has a certificate. An entry that has the bare key instead is found by nobody who
 * watches the log for an identity.
 */
function entryNames(body: Uint8Array, certificate: Uint8Array): boolean {
  try {
    const fields = JsonFields.parse(body, 'the entry');
    const certificateIn = certificateByEntryKind[`${fields.string('kind')} ${fields.string('apiVersion')}`];
    return (
      certificateIn !== undefined && Buffer.from(certificateIn(fields.object('spec'))).equals(certificate)
    );
  } catch (error) {
    if (error instanceof FormError) return false;
    throw error;
  }
}

function only(items: readonly JsonFields[]): JsonFields {
  const [first] = items;
  if (first === undefined) throw new FormError('the entry has no signature');
  return first;
}

function rawBytes(signature: JsonFields): Uint8Array {
  return signature.object('verifier').object('x509Certificate').base64('rawBytes');
}

function pem(bytes: Uint8Array): Uint8Array {
  try {
    return new X509Certificate(Buffer.from(bytes)).raw;
  } catch {
    throw new FormError('the entry has no certificate');
  }
}

type Extensions = NonNullable<NonNullable<Signer['identity']>['oids']>;

/**
 * Returns the one of the identities that a verified certificate has, or why there is none. The certificate must have exactly one
 * name. Extensions are compared as DER: the library's text of a name drops the high bit of each byte, and its policy takes a name
 * for a regular expression.
 */
function identityOf({ identity }: Signer, identities: readonly SignerIdentity[]): SignerIdentity | string {
  const extensions = identity?.oids ?? [];
  if (!extensionIs(extensions, oids.extendedKeyUsage, sequence(objectIdentifier(oids.codeSigning))))
    return 'by a certificate that is not for code signing';
  return (
    identities.find(
      ({ issuer, subject }) =>
        extensionIs(extensions, oids.issuer, der(Tag.Utf8String, Buffer.from(issuer))) &&
        Object.values(generalName).some((kind) =>
          extensionIs(extensions, oids.subjectAltName, nameOf(kind, subject)),
        ),
    ) ?? 'by another identity or issuer'
  );
}

function nameOf(kind: number, text: string): Uint8Array {
  return sequence(der(contextTag(kind, 'primitive'), Buffer.from(text)));
}

/** Reports whether there is one extension with this identifier, and it has this value. */
function extensionIs(extensions: Extensions, oid: string, value: Uint8Array): boolean {
  const [first, ...more] = extensions.filter((extension) => extension.oid?.id.join('.') === oid);
  return first !== undefined && more.length === 0 && Buffer.from(first.value).equals(value);
}

/** A signer as Fulcio writes it into a certificate. Both are compared byte by byte. */
interface SignerIdentity {
  /** The URL of the OpenID Connect provider. */
  readonly issuer: string;
  /** The subject alternative name: a URI, such as that of a workflow, or an email address. */
  readonly subject: string;
}

/** The identities that may sign without a key, and what proves an identity. */
export interface KeylessSettings {
  /** The JSON text of a Sigstore trusted root: CAs, certificate logs, transparency logs, timestamp authorities. */
  readonly trustedRoot: string;
  readonly identities: readonly SignerIdentity[];
}
