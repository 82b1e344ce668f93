import { type KeyObject, sign } from 'node:crypto';
import { cosignedMessage, encodeTimestamped, isCosignatureTime } from './cosigned-message.js';
import { rawPublicKey } from './ed25519.js';
import { formatSignatureLine } from './signature-line.js';
import { LogVerifier, WitnessVerifier } from './verifiers.js';

/** The private key of a log. */
export class LogSigner {
  readonly verifier: LogVerifier;
  readonly #key: KeyObject;

  /** Takes an Ed25519 private key. Throws a TextFormError for a bad name. */
  constructor(name: string, key: KeyObject) {
    if (key.type !== 'private') throw new TypeError('the key is not a private key');
    this.verifier = new LogVerifier(name, rawPublicKey(key));
    this.#key = key;
  }

  /** Returns the signature line of a note's text, with its newline. */
  sign(text: string): string {
    const { name, id } = this.verifier;
    return formatSignatureLine({ name, id, signature: sign(null, Buffer.from(text), this.#key) });
  }
}

/** The private key of a witness. It must be used for nothing else: what it signs does not name the witness. */
export class WitnessSigner {
  readonly verifier: WitnessVerifier;
  readonly #key: KeyObject;

  /** Takes an Ed25519 private key. Throws a TextFormError for a bad name. */
  constructor(name: string, key: KeyObject) {
    if (key.type !== 'private') throw new TypeError('the key is not a private key');
    this.verifier = new WitnessVerifier(name, rawPublicKey(key));
    this.#key = key;
  }

  /**
   * Returns the signature line of a checkpoint's text, with its newline. `time` is in whole seconds since 1970. Throws a
   * RangeError for a time that a cosignature cannot have.
   */
  cosign(text: string, time: number): string {
    if (!isCosignatureTime(time)) throw new RangeError(`${time} is not the time of a cosignature`);
    const { name, id } = this.verifier;
    const signature = encodeTimestamped({
      time,
      signature: sign(null, cosignedMessage(text, time), this.#key),
    });
    return formatSignatureLine({ name, id, signature });
  }
}
