import type { Descriptor } from '../manifest/descriptor.js';

/** A layer's key as its manifest has it: wrapped for a recipient. */
export interface WrappedKey {
  /** The end of the annotation's name: `jwe`, `provider.attestation-agent`. */
  readonly scheme: string;
  /** The annotation, decoded. */
  readonly packet: Uint8Array;
}

const keysPrefix = 'org.opencontainers.image.enc.keys.';
const maxPackets = 32;

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
