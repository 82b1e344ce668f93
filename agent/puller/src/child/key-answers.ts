import { wrappedKeys, type WrappedKey } from '../encryption/wrapped-keys.js';
import { ownPlatform } from '../manifest/platform.js';
import { chooseManifest } from '../pull/choose-manifest.js';
import { digestAlgorithm, digestOf, isDigest } from '../reference/digest.js';
import type { ImageReference } from '../reference/reference.js';
import { LayerError } from '../unpack/layer-error.js';
import type { PullQuestion, SentManifest } from './pull-protocol.js';

/** Returns the options of a layer's cipher; undefined: there is no key for them. */
export type UnwrapKey = (key: WrappedKey) => Promise<Uint8Array | undefined>;

/**
 * Answers `KeyQuestions`. A process that was taken over would ask for keys of other images, too: if the reference has a digest, only
 * the keys in the manifest with this digest are unwrapped, which the process sends and this class verifies. A tag says nothing
 * about the manifest.
 */
export class KeyAnswers {
  readonly #reference: ImageReference;
  readonly #unwrapKey: UnwrapKey | undefined;
  /** Undefined: there was no manifest. */
  #keys: ReadonlySet<string> | undefined;

  constructor(reference: ImageReference, unwrapKey: UnwrapKey | undefined) {
    this.#reference = reference;
    this.#unwrapKey = unwrapKey;
  }

  /** Throws a LayerError for a question that the process does not ask unless it was taken over. */
  readonly answer = async (question: PullQuestion): Promise<{ readonly options: string | null }> => {
    if (question.kind === 'manifests') {
      if (this.#keys !== undefined) throw strange('sent manifests twice');
      this.#keys = this.#reference.digest === undefined ? new Set() : await this.#keysIn(question.manifests);
      return { options: null };
    }
    if (this.#reference.digest !== undefined && this.#keys?.has(textOf(question.key)) !== true)
      throw strange('asked for a key that the manifest with the digest of the reference does not have');
    const options = await this.#unwrapKey?.(question.key);
    return { options: options === undefined ? null : Buffer.from(options).toString('base64') };
  };

  /** Chooses the manifest as the process does, from nothing but bytes that have the digest. */
  async #keysIn(manifests: readonly SentManifest[]): Promise<ReadonlySet<string>> {
    const registry = {
      manifest: async (name: string) => {
        const sent = isDigest(name)
          ? manifests.find(({ bytes }) => digestOf(bytes, digestAlgorithm(name)) === name)
          : undefined;
        if (sent === undefined || !isDigest(name))
          throw strange('sent other manifests than that with the digest of the reference');
        return { ...sent, digest: name };
      },
    };
    const { manifest } = await chooseManifest(registry, this.#reference, ownPlatform());
    return new Set(manifest.layers.flatMap((layer) => wrappedKeys(layer).map(textOf)));
  }
}

function textOf({ scheme, packet }: WrappedKey): string {
  return `${scheme} ${Buffer.from(packet).toString('base64')}`;
}

function strange(what: string): LayerError {
  return new LayerError('child', `the process that pulls the image ${what}`);
}
