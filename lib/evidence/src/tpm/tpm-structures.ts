// Structures of the TPM 2.0 Library, part 2, as far as a quote has them. All numbers are big-endian.

import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ByteReader, toHex } from '../byte-reader.js';
import { EvidenceFormError } from '../evidence-error.js';

const banks: Readonly<Record<number, string>> = { 4: 'sha1', 11: 'sha256', 12: 'sha384', 13: 'sha512' };

/** TPMS_ATTEST of a quote. */
export interface Attest {
  /** In hex, as it stands: TPM_GENERATED_VALUE, TPM_ST_ATTEST_QUOTE. */
  readonly magic: string;
  readonly type: string;
  readonly extraData: Uint8Array;
  /** Grows with each reset of the TPM: a boot. */
  readonly resetCount: number;
  /** Grows with each restart of the TPM without a reset: a resumption. */
  readonly restartCount: number;
  /** The quoted registers, by bank. */
  readonly selection: readonly { readonly bank: string; readonly registers: readonly number[] }[];
  readonly pcrDigest: Uint8Array;
}

const quoteMagic = 'ff544347';
const quoteType = '8018';

/** Parses TPMS_ATTEST. Of another magic or type nothing else is read. Throws an EvidenceFormError. */
export function parseAttest(bytes: Uint8Array): Attest {
  const reader = new ByteReader(bytes, 'the quote', 'big-endian');
  const magic = toHex(reader.take(4, 'its magic'));
  const type = toHex(reader.take(2, 'its type'));
  if (magic !== quoteMagic)
    throw new EvidenceFormError(`the quote has the magic ${magic}, not ${quoteMagic}: no TPM made it`);
  if (type !== quoteType)
    throw new EvidenceFormError(`the quote has the type ${type}, not ${quoteType}: it is not a quote`);
  reader.sized('qualifiedSigner');
  const extraData = reader.sized('extraData');
  reader.take(8, 'clock');
  const resetCount = reader.u32('resetCount');
  const restartCount = reader.u32('restartCount');
  reader.take(1 + 8, 'safe and firmwareVersion');
  const selection = Array.from({ length: Math.min(reader.u32('the count of pcrSelect'), 16) }, () => {
    const id = reader.u16('pcrSelect');
    const bits = reader.take(reader.u8('pcrSelect'), 'pcrSelect');
    const registers = Array.from({ length: bits.length * 8 }, (_, index) => index).filter(
      (index) => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0,
    );
    return { bank: banks[id] ?? `0x${id.toString(16)}`, registers };
  });
  const pcrDigest = reader.sized('pcrDigest');
  reader.end();
  return { magic, type, extraData, resetCount, restartCount, selection, pcrDigest };
}

/** TPMT_PUBLIC of an ECC P-256 key that signs by ECDSA with SHA-256. */
export interface AttestationKey {
  /** The name of the key in the TPM: its algorithm, and the hash of its public area, in hex. */
  readonly name: string;
  readonly attributes: number;
  readonly key: KeyObject;
}

const template = { ecc: 0x0023, sha256: 0x000b, none: 0x0010, ecdsa: 0x0018, p256: 0x0003 } as const;

/** Attributes of an object (part 2, 8.3). */
export const attribute = {
  fixedTPM: 0x2,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
} as const;

/** Parses the public area of an attestation key. Throws an EvidenceFormError for another kind of key than the agent's. */
export function parsePublicArea(bytes: Uint8Array): AttestationKey {
  const reader = new ByteReader(bytes, 'the public area of the key', 'big-endian');
  const expect = (value: number, what: string): void => {
    if (reader.u16('the template') !== value)
      throw new EvidenceFormError(`the attestation key is not ${what}`);
  };
  expect(template.ecc, 'an ECC key');
  expect(template.sha256, 'named by SHA-256');
  const attributes = reader.u32('objectAttributes');
  reader.sized('authPolicy');
  expect(template.none, 'for signatures alone');
  expect(template.ecdsa, 'for ECDSA');
  expect(template.sha256, 'for ECDSA with SHA-256');
  expect(template.p256, 'on the curve P-256');
  expect(template.none, 'without key derivation');
  const [x, y] = [reader.sized('x'), reader.sized('y')].map((one) => field(one).toString('base64url'));
  reader.end();
  try {
    const key = createPublicKey({
      format: 'jwk',
      key: { kty: 'EC', crv: 'P-256', ...(x === undefined ? {} : { x }), ...(y === undefined ? {} : { y }) },
    });
    return { name: attestationKeyName(bytes), attributes, key };
  } catch (error) {
    throw new EvidenceFormError('the attestation key is not a point of the curve P-256', { cause: error });
  }
}

/** Returns the name of a key from its TPMT_PUBLIC, in hex: its hash algorithm, SHA-256, and the hash. */
export function attestationKeyName(publicArea: Uint8Array): string {
  return `000b${createHash('sha256').update(publicArea).digest('hex')}`;
}

/** Reports whether a TPMT_SIGNATURE is the key's, over these bytes. Throws an EvidenceFormError for another kind of signature. */
export function isSignedBy({ key }: AttestationKey, signed: Uint8Array, signature: Uint8Array): boolean {
  const reader = new ByteReader(signature, 'the signature', 'big-endian');
  if (reader.u16('sigAlg') !== template.ecdsa || reader.u16('hash') !== template.sha256)
    throw new EvidenceFormError('the signature is not ECDSA with SHA-256');
  const both = Buffer.concat([field(reader.sized('r')), field(reader.sized('s'))]);
  reader.end();
  return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, both);
}

/** A number of 32 bytes; a TPM may leave out zeros in front. */
function field(bytes: Uint8Array): Buffer {
  if (bytes.length > 32) throw new EvidenceFormError('a number of P-256 has more than 32 bytes');
  return Buffer.concat([Buffer.alloc(32 - bytes.length), bytes]);
}
