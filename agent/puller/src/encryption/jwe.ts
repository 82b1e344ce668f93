import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { FormError, JsonFields } from '@kata-agent/base';
import { ImageError } from '@kata-agent/registry';

const maxRecipients = 32;
/** Of RFC 3394: a wrapped key begins with it. */
const wrapIv = Buffer.from('a6a6a6a6a6a6a6a6', 'hex');
const curves: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
};

/** Parses a private key in PEM: RSA, or ECDH on a curve of NIST. Throws an ImageError, without anything of the key. */
export function parseDecryptionKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new ImageError(
      'settings-invalid',
      'a key of decryption_keys is not an unencrypted private key in PEM',
    );
  }
  const { namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if (
    key.asymmetricKeyType === 'rsa' ||
    (key.asymmetricKeyType === 'ec' && Object.hasOwn(curves, namedCurve))
  )
    return key;
  throw new ImageError(
    'settings-invalid',
    'a key of decryption_keys is neither RSA nor ECDH on P-256, P-384 or P-521',
  );
}

const blockPattern = /-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----/g;

/** Parses the private keys of a text, one PEM block after the other. Throws an ImageError, without anything of a key. */
export function parseDecryptionKeys(text: string): readonly KeyObject[] {
  const keys = [...text.matchAll(blockPattern)]
    // `openssl ecparam -genkey` writes them before the key.
    .filter(([, label]) => label !== 'EC PARAMETERS')
    .map(([block]) => parseDecryptionKey(block));
  if (keys.length === 0)
    throw new ImageError('settings-invalid', 'decryption_keys has no private key in PEM');
  return keys;
}

/**
 * Decrypts a JWE in the JSON serialization (RFC 7516, Section 7.2) by the first key that opens one of its recipients: RSA-OAEP,
 * RSA-OAEP-256 or ECDH-ES with AES key wrap, and AES-GCM with 256 bits, as ocicrypt writes it. Undefined when none does.
 */
export function decryptJwe(packet: Uint8Array, keys: readonly KeyObject[]): Uint8Array | undefined {
  try {
    const fields = JsonFields.parse(packet, 'the key');
    const protectedText = fields.string('protected');
    const protectedHeader = JsonFields.parse(base64url(protectedText), 'the header');
    const recipients = fields.has('recipients') ? fields.objects('recipients', maxRecipients) : [fields];
    for (const recipient of recipients) {
      const own = membersOf(recipient.get('header'));
      const header = JsonFields.of(
        new Map([...own, ...membersOf(fields.get('unprotected')), ...headerMembers(protectedHeader), ...own]),
        'the header',
      );
      const encryptedKey = base64url(recipient.string('encrypted_key'));
      for (const key of keys) {
        const contentKey = unwrap(header, encryptedKey, key);
        const plain =
          contentKey === undefined ? undefined : decryptContent(fields, header, protectedText, contentKey);
        if (plain !== undefined) return plain;
      }
    }
    return undefined;
  } catch (error) {
    if (error instanceof FormError) return undefined;
    throw error;
  }
}

type Members = ReadonlyMap<string, unknown>;

function membersOf(value: unknown): Members {
  return value instanceof Map ? (value as Members) : new Map();
}

function headerMembers(fields: JsonFields): Members {
  return new Map(fields.names().map((name) => [name, fields.get(name)]));
}

/** Returns the key of the content. Undefined when it is wrapped for another key. */
function unwrap(header: JsonFields, encryptedKey: Buffer, key: KeyObject): Buffer | undefined {
  const algorithm = header.string('alg');
  try {
    switch (algorithm) {
      case 'RSA-OAEP':
      case 'RSA-OAEP-256': {
        if (key.asymmetricKeyType !== 'rsa') return undefined;
        const oaepHash = algorithm === 'RSA-OAEP' ? 'sha1' : 'sha256';
        return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, encryptedKey);
      }
      case 'ECDH-ES+A128KW':
      case 'ECDH-ES+A192KW':
      case 'ECDH-ES+A256KW': {
        const bits = Number(algorithm.slice(9, 12));
        const shared = agree(header.object('epk'), key);
        return shared === undefined
          ? undefined
          : unwrapAes(deriveKey(shared, algorithm, bits, header), encryptedKey, bits);
      }
      default:
        return undefined;
    }
  } catch (error) {
    if (error instanceof FormError) throw error;
    return undefined;
  }
}

function agree(epk: JsonFields, privateKey: KeyObject): Buffer | undefined {
  const { namedCurve = '' } = privateKey.asymmetricKeyDetails ?? {};
  if (privateKey.asymmetricKeyType !== 'ec' || epk.string('crv') !== curves[namedCurve]) return undefined;
  const jwk = { kty: 'EC', crv: epk.string('crv'), x: epk.string('x'), y: epk.string('y') };
  // Node.js refuses a point that is not on the curve.
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  return diffieHellman({ privateKey, publicKey });
}

/** The Concat KDF of RFC 7518, Section 4.6.2. */
function deriveKey(shared: Buffer, algorithm: string, bits: number, header: JsonFields): Buffer {
  const prefixed = (bytes: Uint8Array): Buffer => Buffer.concat([uint32(bytes.length), bytes]);
  const info = Buffer.concat([
    prefixed(Buffer.from(algorithm)),
    prefixed(base64url(header.optionalString('apu') ?? '')),
    prefixed(base64url(header.optionalString('apv') ?? '')),
    uint32(bits),
  ]);
  // One round: SHA-256 gives 256 bits.
  return createHash('sha256')
    .update(uint32(1))
    .update(shared)
    .update(info)
    .digest()
    .subarray(0, bits / 8);
}

function unwrapAes(key: Buffer, wrapped: Buffer, bits: number): Buffer {
  const decipher = createDecipheriv(`id-aes${bits}-wrap`, key, wrapIv);
  return Buffer.concat([decipher.update(wrapped), decipher.final()]);
}

/** Undefined when the key is not that of the content. */
function decryptContent(
  fields: JsonFields,
  header: JsonFields,
  protectedText: string,
  key: Buffer,
): Buffer | undefined {
  if (header.string('enc') !== 'A256GCM' || key.length !== 32) return undefined;
  const iv = base64url(fields.string('iv'));
  const tag = base64url(fields.string('tag'));
  if (iv.length !== 12 || tag.length !== 16) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 });
  const aad = fields.optionalString('aad');
  decipher.setAAD(Buffer.from(aad === undefined ? protectedText : `${protectedText}.${aad}`)).setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(base64url(fields.string('ciphertext'))), decipher.final()]);
  } catch {
    return undefined;
  }
}

function base64url(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new FormError('not base64url');
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
