import { EvidenceFormError } from './evidence-error.js';

type ByteOrder = 'little-endian' | 'big-endian';

/** Reads fields of one byte order in turn, and throws an EvidenceFormError if bytes are missing or left over. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  readonly #order: ByteOrder;
  #at = 0;

  constructor(bytes: Uint8Array, what: string, order: ByteOrder = 'little-endian') {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#what = what;
    this.#order = order;
  }

  /** The number of bytes read. */
  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number, field: string): Uint8Array {
    if (length > this.left)
      throw this.error(`it ends inside ${field}: ${length} bytes are needed, ${this.left} are left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u8(field: string): number {
    return this.take(1, field)[0] ?? 0;
  }

  u16(field: string): number {
    const bytes = Buffer.from(this.take(2, field));
    return this.#order === 'big-endian' ? bytes.readUInt16BE() : bytes.readUInt16LE();
  }

  u32(field: string): number {
    const bytes = Buffer.from(this.take(4, field));
    return this.#order === 'big-endian' ? bytes.readUInt32BE() : bytes.readUInt32LE();
  }

  u64(field: string): bigint {
    const bytes = Buffer.from(this.take(8, field));
    return this.#order === 'big-endian' ? bytes.readBigUInt64BE() : bytes.readBigUInt64LE();
  }

  /** Reads bytes that follow their number, of 16 bits. */
  sized(field: string): Uint8Array {
    return this.take(this.u16(`the size of ${field}`), field);
  }

  /** Reads bytes that the format reserves as zero. */
  zeros(length: number, field: string): void {
    if (this.take(length, field).some((byte) => byte !== 0)) throw this.error(`${field} is not zero`);
  }

  /** Throws if bytes are left. */
  end(): void {
    if (this.left > 0) throw this.error(`${this.left} bytes follow its end`);
  }

  error(fault: string): EvidenceFormError {
    return new EvidenceFormError(`${this.#what} is not valid: ${fault}`);
  }
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

export function allZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
