import {
  certificatesOfPem,
  parseRevocationListFields,
  type RevocationListFields,
  revocationListsOfPem,
} from '@kata-agent/x509';
import { parseChainCertificate } from '../chain/chain-certificate.js';
import { EvidenceFormError } from '../evidence-error.js';
import { parseQeIdentity, type QeIdentity } from '../tdx/qe-identity.js';
import { parseTcbInfo, type TcbInfo } from '../tdx/tcb-info.js';

/** What the verifier got from the vendors by a way of its own. Signatures are verified when it is used. */
export interface Collateral {
  /** In DER. */
  readonly certificates: readonly Uint8Array[];
  readonly revocationLists: readonly RevocationListFields[];
  readonly tcbInfos: readonly SignedDocument<TcbInfo>[];
  readonly qeIdentities: readonly SignedDocument<QeIdentity>[];
}

export const noCollateral: Collateral = {
  certificates: [],
  revocationLists: [],
  tcbInfos: [],
  qeIdentities: [],
};

/**
 * Reads the files of a directory by their content: certificates and revocation lists in DER or PEM, and Intel's answers for
 * TCB info and QE identity. A file of any other content is an error, so that no file is left out silently. Throws an
 * EvidenceFormError that names the file.
 */
export function parseCollateral(files: ReadonlyMap<string, Uint8Array>): Collateral {
  const parts = [...files].map(([name, bytes]) => {
    try {
      return parseFile(Buffer.from(bytes));
    } catch (error) {
      throw new EvidenceFormError(`${name}: ${(error as Error).message}`);
    }
  });
  return {
    certificates: parts.flatMap(({ certificates = [] }) => certificates),
    revocationLists: parts.flatMap(({ revocationLists = [] }) => revocationLists),
    tcbInfos: parts.flatMap(({ tcbInfos = [] }) => tcbInfos),
    qeIdentities: parts.flatMap(({ qeIdentities = [] }) => qeIdentities),
  };
}

function parseFile(bytes: Buffer): Partial<Collateral> {
  const text = bytes.toString('utf8');
  if (text.startsWith('{"tcbInfo":'))
    return { tcbInfos: [parseSignedDocument(text, 'tcbInfo', parseTcbInfo)] };
  if (text.startsWith('{"enclaveIdentity":'))
    return { qeIdentities: [parseSignedDocument(text, 'enclaveIdentity', parseQeIdentity)] };
  return text.includes('-----BEGIN ') ? parsePem(text) : parseDer(bytes);
}

function parsePem(text: string): Partial<Collateral> {
  const certificates = certificatesOfPem(text);
  const lists = revocationListsOfPem(text).map((pem) =>
    Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64'),
  );
  if (certificates.length + lists.length === 0)
    throw new EvidenceFormError('it has neither certificates nor revocation lists');
  certificates.forEach(parseChainCertificate);
  return { certificates, revocationLists: lists.map(parseRevocationListFields) };
}

function parseDer(bytes: Buffer): Partial<Collateral> {
  try {
    parseChainCertificate(bytes);
    return { certificates: [bytes] };
  } catch {
    // Either it is a revocation list, or it is neither.
  }
  try {
    return { revocationLists: [parseRevocationListFields(bytes)] };
  } catch {
    throw new EvidenceFormError(
      "it is neither a certificate nor a revocation list, in DER or PEM, nor one of Intel's signed documents",
    );
  }
}

/** A JSON document that Intel signed. The signature is not verified yet. */
export interface SignedDocument<Value> {
  /** The bytes that the signature covers. */
  readonly body: Uint8Array;
  /** r and s, big-endian, 32 bytes each. */
  readonly signature: Uint8Array;
  readonly value: Value;
}

/**
 * Reads an answer of Intel's provisioning service, `{"<name>":{…},"signature":"…"}`: the signature covers the bytes of the
 * first member as they stand. Throws an EvidenceFormError.
 */
function parseSignedDocument<Value>(
  text: string,
  name: string,
  parse: (json: unknown) => Value,
): SignedDocument<Value> {
  const start = `{"${name}":`;
  const match = /^(\{.*\}),"signature":"([0-9a-fA-F]{128})"\}\s*$/s.exec(text.slice(start.length));
  const [, body, signature] = match ?? [];
  if (!text.startsWith(start) || body === undefined || signature === undefined)
    throw new EvidenceFormError(
      `it is not {"${name}":{…},"signature":"…"}; help: keep the answer of Intel's service as it is`,
    );
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    throw new EvidenceFormError(`it is not JSON: ${(error as Error).message}`);
  }
  return { body: Buffer.from(body, 'utf8'), signature: Buffer.from(signature, 'hex'), value: parse(json) };
}
