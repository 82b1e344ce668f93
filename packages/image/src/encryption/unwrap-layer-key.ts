import { ImageError } from '../errors/image-error.js';
import type { Descriptor } from '../manifest/descriptor.js';
import { decryptJwe, parseDecryptionKey } from './jwe.js';

const keysPrefix = 'org.opencontainers.image.enc.keys.';
const maxPackets = 32;

/** Who can open the key of a layer. */
export interface KeySources {
  /** Private keys in PEM. */
  readonly decryptionKeys: readonly string[];
  /** Opens keys that are wrapped in another way. */
  readonly unwrapKey?: (key: {
    readonly scheme: string;
    readonly packet: Uint8Array;
  }) => Promise<Uint8Array | undefined>;
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
  const packets = [...layer.annotations]
    .filter(([name]) => name.startsWith(keysPrefix))
    .flatMap(([name, text]) =>
      text
        .split(',')
        .map((part) => ({ scheme: name.slice(keysPrefix.length), packet: Buffer.from(part, 'base64') })),
    )
    .slice(0, maxPackets);
  for (const { scheme, packet } of packets) {
    const own = scheme === 'jwe' ? decryptJwe(packet, keys) : undefined;
    const options = own ?? (await unwrapKey?.({ scheme, packet }));
    if (options !== undefined) return options;
  }
  throw new ImageError(
    'decryption-key-missing',
    `layer ${layer.digest} is encrypted for other keys than decryption_keys has`,
  );
}
