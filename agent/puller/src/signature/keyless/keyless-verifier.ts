import { createHash } from 'node:crypto';
import { type Bundle, bundleFromJSON, ValidationError } from '@sigstore/bundle';
import {
  type SignedEntity,
  type Signer,
  toSignedEntity,
  type TrustMaterial,
  VerificationError,
  Verifier,
} from '@sigstore/verify';
import { Fields } from '../../json/fields.js';
import { faultOfForm } from './bundle-form.js';
import type { KeylessSettings, SignerIdentity } from './keyless-settings.js';
import { entryNames } from './log-entry.js';
import { identityOf } from './signer-identity.js';
import { parseTrustedRoot } from './trusted-root.js';

class FormError extends Error {}

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
      const fields = Fields.parse(bundle, 'the bundle', (text) => new FormError(text));
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
