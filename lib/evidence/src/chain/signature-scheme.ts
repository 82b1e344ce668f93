import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { toHex } from '../byte-reader.js';

/** How a vendor signs certificates and revocation lists. Nothing else is accepted in its chains. */
export interface SignatureScheme {
  readonly name: string;
  /** Returns the public key of a certificate that may sign; undefined for any other type of key. */
  signingKey(publicKey: Uint8Array): KeyObject | undefined;
  /** Reports whether an AlgorithmIdentifier names this scheme. */
  names(algorithm: Uint8Array): boolean;
  verify(data: Uint8Array, signature: Uint8Array, key: KeyObject): boolean;
}

// RSASSA-PSS-params (RFC 4055) with SHA-384, MGF1 with SHA-384 and 48 octets of salt.
const pssObject = '06092a864886f70d01010a';
const sha384Object = '300d06096086480165030402020500';
const mgf1Object = `301a06092a864886f70d010108${sha384Object}`;
const pssParameters = `a00f${sha384Object}a11c${mgf1Object}a203020130`;
/** AMD writes the default trailer field in some certificates, and leaves it out in those of Turin chips. */
const pssAlgorithms: ReadonlySet<string> = new Set([
  `3041${pssObject}3034${pssParameters}`,
  `3046${pssObject}3039${pssParameters}a303020101`,
]);

/** RSASSA-PSS with a key of 4096 bits and SHA-384 (AMD 57230). */
export const amdSignatures: SignatureScheme = {
  name: 'RSASSA-PSS with SHA-384 and 4096 bits',
  signingKey(publicKey) {
    const key = importKey(publicKey);
    const details = key?.asymmetricKeyDetails;
    const rsa4096 = key?.asymmetricKeyType === 'rsa' && details?.modulusLength === 4096;
    return rsa4096 && details?.publicExponent === 65537n ? key : undefined;
  },
  names: (algorithm) => pssAlgorithms.has(toHex(algorithm)),
  verify: (data, signature, key) =>
    verify('sha384', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }, signature),
};

/** ECDSA with P-256 and SHA-256 (Intel's PCK certificate and CRL profile). */
export const intelSignatures: SignatureScheme = {
  name: 'ECDSA with P-256 and SHA-256',
  signingKey: (publicKey) => ecKey(publicKey, 'P-256'),
  names: (algorithm) => toHex(algorithm) === '300a06082a8648ce3d040302',
  verify: (data, signature, key) => verify('sha256', data, key, signature),
};

/** ECDSA with P-384 and SHA-384. */
const ecdsaP384: SignatureScheme = {
  name: 'ECDSA with P-384 and SHA-384',
  signingKey: (publicKey) => ecKey(publicKey, 'P-384'),
  names: (algorithm) => toHex(algorithm) === '300a06082a8648ce3d040303',
  verify: (data, signature, key) => verify('sha384', data, key, signature),
};

/** RSASSA-PKCS1-v1_5 with SHA-256. Anybody sends keys: one with a long exponent would cost 20 ms for each signature. */
const rsaSha256: SignatureScheme = {
  name: 'RSA with 2048 to 4096 bits, the exponent 65537 and SHA-256',
  signingKey(publicKey) {
    const key = importKey(publicKey);
    const { modulusLength = 0, publicExponent } = key?.asymmetricKeyDetails ?? {};
    const isRsa = key?.asymmetricKeyType === 'rsa' && publicExponent === 65537n;
    return isRsa && modulusLength >= 2048 && modulusLength <= 4096 ? key : undefined;
  },
  names: (algorithm) => toHex(algorithm) === '300d06092a864886f70d01010b0500',
  verify: (data, signature, key) => verify('sha256', data, key, signature),
};

/** Returns the scheme that an AlgorithmIdentifier names, of those that an operator's own CA may use. */
export function operatorsScheme(algorithm: Uint8Array): SignatureScheme {
  return [ecdsaP384, rsaSha256].find((scheme) => scheme.names(algorithm)) ?? intelSignatures;
}

/** Everything before the coordinates of an uncompressed point: named curves and uncompressed points only. */
const ecPrefixes = {
  'P-256': '3059301306072a8648ce3d020106082a8648ce3d03010703420004',
  'P-384': '3076301006072a8648ce3d020106052b8104002203620004',
} as const;

/** Returns the key of a SubjectPublicKeyInfo on this curve; undefined for any other. */
export function ecKey(publicKey: Uint8Array, curve: keyof typeof ecPrefixes): KeyObject | undefined {
  return toHex(publicKey).startsWith(ecPrefixes[curve]) ? importKey(publicKey) : undefined;
}

/** Returns the key of a point's two coordinates; undefined if the point is not on the curve. */
export function ecKeyOfPoint(point: Uint8Array, curve: keyof typeof ecPrefixes): KeyObject | undefined {
  return importKey(Buffer.concat([Buffer.from(ecPrefixes[curve], 'hex'), point]));
}

/** Verifies a signature that is the two integers in big-endian order, side by side. */
export function verifyEcdsa(
  hash: 'sha256' | 'sha384',
  data: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): boolean {
  return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function importKey(publicKey: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
