import { ImageError } from '../errors/image-error.js';
import type { Descriptor } from '../manifest/descriptor.js';
import { decryptJwe, parseDecryptionKey } from './jwe.js';
import { type WrappedKey, wrappedKeys } from './wrapped-keys.js';

/** The recipients that can unwrap the key of a layer. */
export interface KeySources {
  /** Private keys in PEM. */
  readonly decryptionKeys: readonly string[];
  /** Opens keys that are wrapped in another way. */
  readonly unwrapKey?: (key: WrappedKey) => Promise<Uint8Array | undefined>;
}

/**
 * Returns the options of a layer's cipher, in JSON: each recipient has them in an annotation, wrapped for its key. Throws
 * an ImageError.
 */
export async function unwrapLayerKey(
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
