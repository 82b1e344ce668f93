import type { WrappedKey } from '../pull/pull-request.js';

/** Asks the agent to unwrap keys of layers: the process that talks to registries has no private key. */
export class KeyQuestions {
  readonly #send: (message: unknown) => void;
  readonly #waiting: ((options: Uint8Array | undefined) => void)[] = [];

  constructor(send: (message: unknown) => void) {
    this.#send = send;
  }

  /** Resolves with the options of a layer's cipher; undefined: the agent has no key for them. */
  readonly unwrapKey = ({ scheme, packet }: WrappedKey): Promise<Uint8Array | undefined> => {
    this.#send({ unwrap: { scheme, packet: Buffer.from(packet).toString('base64') } });
    return new Promise((resolve) => void this.#waiting.push(resolve));
  };

  /** Takes the agent's answer to the oldest question. */
  readonly answer = (value: unknown): void => {
    const { options } = value as { readonly options: string | null };
    this.#waiting.shift()?.(options === null ? undefined : Buffer.from(options, 'base64'));
  };
}
