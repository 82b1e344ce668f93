import { createHash, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { initializeCA, initializeCTLog, initializeTLog } from '@sigstore/mock';
import type { Members } from './oci-image.js';

const issuerExtension = '1.3.6.1.4.1.57264.1.8';
const logUrl = 'https://rekor.example';

type Authority = Awaited<ReturnType<typeof initializeCA>>;
type CertificateLog = Awaited<ReturnType<typeof initializeCTLog>>;
type TransparencyLog = Awaited<ReturnType<typeof initializeTLog>>;

/** A key for one signature, and the certificate that Fulcio gives for it. */
export interface KeylessSigner {
  readonly certificate: Buffer;
  readonly sign: (bytes: Uint8Array) => Buffer;
}

/** An entry of Rekor, as its answer has it. */
export interface LogEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly logIndex: number;
      readonly treeSize: number;
      readonly rootHash: string;
      readonly hashes: readonly string[];
      readonly checkpoint: string;
    };
  };
}

export interface SigstoreOptions {
  /** Of the log; absent: now. */
  readonly loggedAt?: Date;
  /** Whether certificates are in a certificate log. */
  readonly withoutCertificateLog?: boolean;
}

const newPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A Fulcio, its certificate log and a Rekor, with keys of their own, without a network. */
export class Sigstore {
  readonly authority: Authority;
  readonly certificateLog: CertificateLog;
  readonly log: TransparencyLog;

  private constructor(authority: Authority, certificateLog: CertificateLog, log: TransparencyLog) {
    this.authority = authority;
    this.certificateLog = certificateLog;
    this.log = log;
  }

  static async create({ loggedAt, withoutCertificateLog }: SigstoreOptions = {}): Promise<Sigstore> {
    const certificateLog = await initializeCTLog(newPair());
    const used = withoutCertificateLog === true ? undefined : certificateLog;
    return new Sigstore(
      await initializeCA(newPair(), used),
      certificateLog,
      await initializeTLog(logUrl, newPair(), loggedAt),
    );
  }

  /** The JSON text that a configuration names. */
  trustedRoot({
    authority = this.authority,
    certificateLog = this.certificateLog,
    log = this.log,
    logEnds,
  }: {
    readonly authority?: Authority;
    readonly certificateLog?: CertificateLog;
    readonly log?: TransparencyLog;
    readonly logEnds?: string;
  } = {}): string {
    const start = '2020-01-01T00:00:00Z';
    const logOf = (baseUrl: string, publicKey: Buffer, validFor: Members): Members => ({
      baseUrl,
      hashAlgorithm: 'SHA2_256',
      publicKey: {
        rawBytes: publicKey.toString('base64'),
        keyDetails: 'PKIX_ECDSA_P256_SHA_256',
        validFor,
      },
      logId: { keyId: createHash('sha256').update(publicKey).digest('base64') },
    });
    return JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [logOf(logUrl, log.publicKey, { start, ...(logEnds === undefined ? {} : { end: logEnds }) })],
      certificateAuthorities: [
        {
          subject: { organization: 'example', commonName: 'example' },
          uri: 'https://fulcio.example',
          certChain: { certificates: [{ rawBytes: bytesOf(authority.rootCertificate).toString('base64') }] },
          validFor: { start },
        },
      ],
      ctlogs: [logOf('https://ctlog.example', certificateLog.publicKey, { start })],
      timestampAuthorities: [],
    });
  }

  /** The certificate of the CA. */
  get root(): Buffer {
    return bytesOf(this.authority.rootCertificate);
  }

  async signer(subject: string, issuer: string): Promise<KeylessSigner> {
    const { publicKey, privateKey } = newPair();
    const { certificate } = await this.certify(publicKey, subject, issuer);
    return { certificate, sign: (bytes) => sign('sha256', bytes, privateKey) };
  }

  async certify(
    key: KeyObject,
    subject: string,
    issuer: string,
  ): Promise<Pick<KeylessSigner, 'certificate'>> {
    const certificate = await this.authority.issueCertificate({
      publicKey: key.export({ type: 'spki', format: 'der' }),
      subjectAltName: subject,
      extensions: [{ oid: issuerExtension, value: issuer }],
    });
    return { certificate: bytesOf(certificate) };
  }

  /** Logs an entry, and returns Rekor's answer: entries by name. */
  async entries(proposed: object): Promise<Readonly<Record<string, LogEntry>>> {
    return (await this.log.log(proposed)) as Readonly<Record<string, LogEntry>>;
  }

  async entry(proposed: object): Promise<LogEntry> {
    const [entry] = Object.values(await this.entries(proposed));
    if (entry === undefined) throw new Error('the log has no entry');
    return entry;
  }
}

export function certificatePem(certificate: Buffer): string {
  return new X509Certificate(certificate).toString();
}

/** Returns the text that entries have of a certificate: PEM in base64. */
export function verifierOf(certificate: Buffer): string {
  return Buffer.from(certificatePem(certificate)).toString('base64');
}

/** Returns what `cosign` proposes for a DSSE envelope. */
export function dsseEntry(
  payload: Buffer,
  signature: Buffer,
  verifier: string,
): { readonly kind: string; readonly apiVersion: string; readonly spec: Members } {
  return {
    kind: 'dsse',
    apiVersion: '0.0.1',
    spec: {
      payloadHash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') },
      signatures: [{ signature: signature.toString('base64'), verifier }],
    },
  };
}

/** Returns what `cosign` proposes for a signature of bytes. */
export function hashedEntry(bytes: Buffer, signature: Buffer, verifier: string): Members {
  return {
    kind: 'hashedrekord',
    apiVersion: '0.0.1',
    spec: {
      data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(bytes).digest('hex') } },
      signature: { content: signature.toString('base64'), publicKey: { content: verifier } },
    },
  };
}

/** Returns an entry as bundles have it. */
export function bundleEntry(entry: LogEntry): Members {
  const { kind, apiVersion } = JSON.parse(Buffer.from(entry.body, 'base64').toString()) as Members;
  const { inclusionProof: proof, signedEntryTimestamp } = entry.verification;
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: Buffer.from(entry.logID, 'hex').toString('base64') },
    kindVersion: { kind, version: apiVersion },
    integratedTime: String(entry.integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: String(proof.logIndex),
      rootHash: Buffer.from(proof.rootHash, 'hex').toString('base64'),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map((hash) => Buffer.from(hash, 'hex').toString('base64')),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: entry.body,
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
