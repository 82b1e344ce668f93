import { CertificateError } from '../certificate-error.js';
import { decodeObjectIdentifier, Tag } from './tag.js';

/** One DER value. */
export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Identifier, length and content. */
  readonly whole: Uint8Array;
}

/**
 * Reads the values of a DER encoding in order. Strict: what BER allows and DER does not (indefinite and overlong
 * lengths, tags of several octets) is an error, so that one certificate has one encoding.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Returns the next identifier octet; undefined at the end. */
  get next(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** Reads a value of any tag. Throws a CertificateError. */
  any(what: string): DerValue {
    const start = this.#at;
    const tag = this.#octet(what);
    if ((tag & 0x1f) === 0x1f) throw encoding(what, 'a tag of several octets');
    const length = this.#length(what);
    const content = this.#at;
    if (length > this.#bytes.length - content) throw encoding(what, 'it is longer than what contains it');
    this.#at = content + length;
    return {
      tag,
      content: this.#bytes.subarray(content, this.#at),
      whole: this.#bytes.subarray(start, this.#at),
    };
  }

  /** Reads a value that must have this tag. */
  value(tag: number, what: string): DerValue {
    const { next } = this;
    if (next !== tag) throw encoding(what, next === undefined ? 'it is missing' : `unexpected tag ${next}`);
    return this.any(what);
  }

  /** Reads a value if it has this tag. */
  optional(tag: number, what: string): DerValue | undefined {
    return this.next === tag ? this.any(what) : undefined;
  }

  /** Reads a constructed value and returns a reader of its content. */
  inside(tag: number, what: string): DerReader {
    return new DerReader(this.value(tag, what).content);
  }

  objectIdentifier(what: string): string {
    return decodeObjectIdentifier(this.value(Tag.ObjectIdentifier, what).content, what);
  }

  /** Throws if anything follows. */
  end(what: string): void {
    if (this.next !== undefined) throw encoding(what, 'bytes follow its end');
  }

  #octet(what: string): number {
    const octet = this.#bytes[this.#at];
    if (octet === undefined) throw encoding(what, 'it is cut off');
    this.#at += 1;
    return octet;
  }

  #length(what: string): number {
    const first = this.#octet(what);
    if (first < 0x80) return first;
    const octets = first & 0x7f;
    if (octets === 0) throw encoding(what, 'an indefinite length');
    // Four octets hold more than a TLS certificate message can.
    if (octets > 4) throw encoding(what, 'a length of more than four octets');
    let length = 0;
    for (let index = 0; index < octets; index += 1) length = length * 256 + this.#octet(what);
    if (length < 0x80 || length < 256 ** (octets - 1)) throw encoding(what, 'an overlong length');
    return length;
  }
}

export function encoding(what: string, why: string): CertificateError {
  return new CertificateError('encoding', `${what} is not valid DER: ${why}`);
}
