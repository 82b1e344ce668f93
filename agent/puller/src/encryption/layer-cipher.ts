import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';
import { JsonFields } from '@kata-agent/base';
import {
  type Descriptor,
  type Digest,
  digestAlgorithm,
  Digester,
  ImageError,
  isDigest,
} from '@kata-agent/registry';
import { decryptJwe, parseDecryptionKey } from './jwe.js';

const keysPrefix = 'org.opencontainers.image.enc.keys.';
const maxPackets = 32;
const publicOptionsAnnotation = 'org.opencontainers.image.enc.pubopts';
/** The only cipher of ocicrypt: AES-256-CTR, and an HMAC-SHA256 over what it gives, by the same key. */
const cipherName = 'AES_256_CTR_HMAC_SHA256';
const failed = (text: string): ImageError => new ImageError('decryption-failed', text);

interface CipherOptions {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly hmac: Uint8Array;
  /** Of the bytes that were encrypted. */
  readonly plainDigest: Digest;
}

/** Opens one encrypted layer. */
export class LayerCipher {
  readonly #digest: Digest;
  readonly #options: CipherOptions;

  constructor(digest: Digest, options: CipherOptions) {
    this.#digest = digest;
    this.#options = options;
  }

  /** Compares the HMAC of the whole encrypted blob: nothing is decrypted before that. Rejects with an ImageError. */
  async verify(encrypted: Readable): Promise<void> {
    const hmac = createHmac('sha256', this.#options.key);
    for await (const part of encrypted) hmac.update(part as Buffer);
    if (!timingSafeEqual(hmac.digest(), this.#options.hmac))
      throw failed(`layer ${this.#digest} does not have its HMAC`);
  }

  /** Decrypts. The stream ends with an ImageError when the bytes are not those that were encrypted. */
  decrypt(encrypted: Readable): Readable {
    const { key, nonce, plainDigest } = this.#options;
    const decipher = createDecipheriv('aes-256-ctr', key, nonce);
    const digester = new Digester(digestAlgorithm(plainDigest));
    const plain = new Transform({
      transform: (part: Buffer, _encoding, done) => {
        const bytes = decipher.update(part);
        digester.update(bytes);
        done(null, bytes);
      },
      flush: (done) => {
        decipher.final();
        done(
          digester.digest() === plainDigest
            ? null
            : failed(`layer ${this.#digest} decrypts to other bytes than were encrypted`),
        );
      },
    });
    encrypted.once('error', (error) => plain.destroy(error));
    plain.once('close', () => encrypted.destroy());
    return encrypted.pipe(plain);
  }
}

/** Unwraps the key of an encrypted layer. Rejects with an ImageError. */
export async function openLayerCipher(layer: Descriptor, sources: KeySources): Promise<LayerCipher> {
  const hmac = publicHmac(layer);
  const what = `the key of layer ${layer.digest}`;
  const fields = JsonFields.parse(await unwrapLayerKey(layer, sources), what, failed);
  const key = fields.base64('symkey');
  const nonce = fields.object('cipheroptions').base64('nonce');
  const plainDigest = fields.string('digest');
  if (key.length !== 32 || nonce.length !== 16 || !isDigest(plainDigest))
    throw failed(`${what} is malformed`);
  return new LayerCipher(layer.digest, { key, nonce, hmac, plainDigest });
}

function publicHmac({ annotations, digest }: Descriptor): Uint8Array {
  const text = annotations.get(publicOptionsAnnotation);
  if (text === undefined) throw failed(`layer ${digest} has no annotation ${publicOptionsAnnotation}`);
  const what = `${publicOptionsAnnotation} of layer ${digest}`;
  const fields = JsonFields.parse(Buffer.from(text, 'base64'), what, failed);
  if (fields.string('cipher') !== cipherName) throw fields.error('cipher', `is not ${cipherName}`);
  // ocicrypt prefers a nonce from here, where nobody has signed it.
  if (fields.optionalObject('cipheroptions')?.has('nonce') === true)
    throw fields.error('cipheroptions', 'has a nonce, which belongs to the key');
  const hmac = fields.base64('hmac');
  if (hmac.length !== 32) throw fields.error('hmac', 'does not have 32 bytes');
  return hmac;
}

/** The recipients that can unwrap the key of a layer. */
interface KeySources {
  /** Private keys in PEM. */
  readonly decryptionKeys: readonly string[];
  /** Opens keys that are wrapped in another way. */
  readonly unwrapKey?: (key: WrappedKey) => Promise<Uint8Array | undefined>;
}

/**
 * Returns the options of a layer's cipher, in JSON: each recipient has them in an annotation, wrapped for its key. Throws
 * an ImageError.
 */
async function unwrapLayerKey(
  layer: Descriptor,
  { decryptionKeys, unwrapKey }: KeySources,
): Promise<Uint8Array> {
  const keys = decryptionKeys.map(parseDecryptionKey);
  for (const wrapped of wrappedKeys(layer)) {
    const own = wrapped.scheme === 'jwe' ? decryptJwe(wrapped.packet, keys) : undefined;
    const options = own ?? (await unwrapKey?.(wrapped));
    if (options !== undefined) return options;
  }
  throw new ImageError(
    'decryption-key-missing',
    `layer ${layer.digest} is encrypted for other keys than decryption_keys has`,
  );
}

/** A layer's key as its manifest has it: wrapped for a recipient. */
export interface WrappedKey {
  /** The end of the annotation's name: `jwe`, `provider.attestation-agent`. */
  readonly scheme: string;
  /** The annotation, decoded. */
  readonly packet: Uint8Array;
}

/** Returns the keys that the annotations of a layer have, one for each recipient. */
export function wrappedKeys({ annotations }: Pick<Descriptor, 'annotations'>): readonly WrappedKey[] {
  return [...annotations]
    .filter(([name]) => name.startsWith(keysPrefix))
    .flatMap(([name, text]) =>
      text
        .split(',')
        .map((part) => ({ scheme: name.slice(keysPrefix.length), packet: Buffer.from(part, 'base64') })),
    )
    .slice(0, maxPackets);
}
