import { MeasurementError } from './measurement-error.js';

/** Reads a TPM response from its start. Every method throws a MeasurementError when the response is too short. */
export class TpmAnswer {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  take(length: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    if (taken.length < length) throw new MeasurementError('the response of the TPM is truncated');
    this.#at += length;
    return taken;
  }
}
