import { MeasurementError } from './register.js';

// A command of TPM 2.0 (TPM 2.0 Library, part 3) is a tag, its total length, a command code, then its parameters; a response has the same
// layout with a response code. All numbers are big-endian.

/** A command and the decoder of its response. Throws a MeasurementError for an error response. */
export interface TpmCommand<T> {
  readonly bytes: Uint8Array;
  readonly parse: (answer: Uint8Array) => T;
}

export const tag = { noSessions: 0x8001, sessions: 0x8002 } as const;
/** Registers are selected by a bitmap: three bytes for the 24 registers of a PC's TPM. */
export const selectBytes = 3;

/** Authorizes a command by a password session with an empty password: nonce, attributes and password are empty. */
export function emptyPassword(): readonly Uint8Array[] {
  const session = Buffer.concat([u32(0x40000009), u16(0), u8(0), u16(0)]);
  return [u32(session.length), session];
}

/** Encodes a command. */
export function command<T>(
  name: string,
  code: number,
  parameters: readonly Uint8Array[],
  parse: (answer: TpmAnswer) => T,
  kind: number = tag.noSessions,
): TpmCommand<T> {
  const body = Buffer.concat(parameters);
  return {
    bytes: Buffer.concat([u16(kind), u32(10 + body.length), u32(code), body]),
    parse: (bytes) => {
      const answer = new TpmAnswer(bytes);
      answer.u16();
      answer.u32();
      const result = answer.u32();
      if (result === 0) return parse(answer);
      throw new MeasurementError(
        `${name} failed with 0x${result.toString(16)}: run tpm2_rc_decode 0x${result.toString(16)}`,
      );
    },
  };
}

export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

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
