import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

/**
 * A chain of certificates whose verification costs as much as its size allows: of RSA keys of 3,072 bits with exponents as
 * long, for which OpenSSL has no limit. Nobody has signed them.
 *
 * @param bytes the size of the chain in DER, at most.
 */
export function slowChain(bytes: number): { readonly cert: string; readonly key: string } {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = spkiOf(slowKey());
  const chain = [certificate(0, spkiOf(own.publicKey))];
  for (let size = chain[0]?.length ?? 0; chain.length < 100; ) {
    const next = certificate(chain.length, spki);
    size += next.length;
    if (size > bytes) break;
    chain.push(next);
  }
  return {
    cert: chain.map(pem).join(''),
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

const bits = 3_072;

function slowKey(): KeyObject {
  const {
    n = '',
    p = '',
    q = '',
  } = generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({
    format: 'jwk',
  });
  const [first, second] = [numberOf(p), numberOf(q)];
  const phi = (first - 1n) * (second - 1n);
  let exponent = phi - 3n;
  while (gcd(exponent, phi) !== 1n) exponent -= 2n;
  const d = inverse(exponent, phi);
  return createPublicKey(
    createPrivateKey({
      format: 'jwk',
      key: {
        kty: 'RSA',
        n,
        p,
        q,
        e: textOf(exponent),
        d: textOf(d),
        dp: textOf(d % (first - 1n)),
        dq: textOf(d % (second - 1n)),
        qi: textOf(inverse(second, first)),
      },
    }),
  );
}

function numberOf(text: string): bigint {
  return BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
}

function textOf(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, u, v] = [value, modulus, 1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [u, v] = [v, u - quotient * v];
  }
  return ((u % modulus) + modulus) % modulus;
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

const sha256WithRsa = Buffer.from('300d06092a864886f70d01010b0500', 'hex');

/** The certificate of a number, of which the next number is the issuer. Its signature is random. */
function certificate(index: number, spki: Buffer): Buffer {
  const signature = randomBytes(bits / 8);
  signature[0] = 1;
  const signed = tlv(
    0x30,
    Buffer.from('a003020102020101', 'hex'),
    sha256WithRsa,
    commonName(`a${index + 1}`),
    tlv(0x30, tlv(0x17, Buffer.from('200101000000Z')), tlv(0x17, Buffer.from('400101000000Z'))),
    commonName(`a${index}`),
    spki,
  );
  return tlv(0x30, signed, sha256WithRsa, tlv(3, Buffer.of(0), signature));
}

function commonName(text: string): Buffer {
  return tlv(0x30, tlv(0x31, tlv(0x30, Buffer.from('0603550403', 'hex'), tlv(0x0c, Buffer.from(text)))));
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const prefix =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...prefix), body]);
}

function pem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
