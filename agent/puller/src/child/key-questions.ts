import type { WrappedKey } from '../encryption/wrapped-keys.js';
import type { FetchedManifest } from '../registry/registry.js';

/** Asks the agent to unwrap keys of layers: the process that talks to registries has no private key. */
export class KeyQuestions {
  readonly #send: (message: unknown) => void;
  readonly #waiting: ((options: Uint8Array | undefined) => void)[] = [];
  #sentManifests = false;

  constructor(send: (message: unknown) => void) {
    this.#send = send;
  }

  /**
   * Resolves with the options of a layer's cipher; undefined: the agent has no key for them. The agent gets the manifests once, to see
   * that they have the key.
   */
  readonly unwrapKey = async (
    { scheme, packet }: WrappedKey,
    manifests: readonly FetchedManifest[],
  ): Promise<Uint8Array | undefined> => {
    if (!this.#sentManifests) {
      this.#sentManifests = true;
      await this.#ask({
        manifests: manifests.map(({ mediaType, bytes }) => ({ mediaType, bytes: bytes.toString('base64') })),
      });
    }
    return this.#ask({ unwrap: { scheme, packet: Buffer.from(packet).toString('base64') } });
  };

  /** Takes the agent's answer to the oldest question. */
  readonly answer = (value: unknown): void => {
    const { options } = value as { readonly options: string | null };
    this.#waiting.shift()?.(options === null ? undefined : Buffer.from(options, 'base64'));
  };

  #ask(question: unknown): Promise<Uint8Array | undefined> {
    this.#send(question);
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
