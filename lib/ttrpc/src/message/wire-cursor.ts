/** Bytes that are not a valid protobuf message. */
export class MalformedMessage extends Error {
  override readonly name: string = 'MalformedMessage';
}

/** The low three bits of a protobuf tag. */
export const WireType: {
  readonly Varint: 0;
  readonly Bit64: 1;
  readonly Length: 2;
  readonly StartGroup: 3;
  readonly EndGroup: 4;
  readonly Bit32: 5;
} = { Varint: 0, Bit64: 1, Length: 2, StartGroup: 3, EndGroup: 4, Bit32: 5 };

/**
 * Reads protobuf bytes without allocating objects. Every step checks the bounds: `at` never exceeds `end`. Callers move
 * `end` to read a nested message.
 */
export class WireCursor {
  readonly bytes: Uint8Array;
  at: number;
  end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Returns field number and wire type as one number. */
  tag(): number {
    const tag = this.#uint32('tag');
    if (tag >>> 3 === 0) throw new MalformedMessage(`field number 0 at byte ${this.at - 1}`);
    return tag;
  }

  /** Returns a length prefix; throws when fewer bytes are left. */
  length(): number {
    const length = this.#uint32('length');
    if (length > this.end - this.at)
      throw new MalformedMessage(`length ${length} at byte ${this.at} passes the end`);
    return length;
  }

  /** Returns an int64. Bits beyond 64 in a tenth byte are dropped, as in other implementations. */
  int64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw new MalformedMessage(`varint of more than ten bytes before byte ${this.at}`);
  }

  skipVarint(): void {
    for (let count = 0; count < 10; count++) if (this.#byte() < 0x80) return;
    throw new MalformedMessage(`varint of more than ten bytes before byte ${this.at}`);
  }

  skipBytes(count: number): void {
    if (count > this.end - this.at) throw new MalformedMessage(`${count} bytes at ${this.at} pass the end`);
    this.at += count;
  }

  /** Skips a value other than a group. */
  skip(wireType: number): void {
    switch (wireType) {
      case WireType.Varint:
        this.skipVarint();
        return;
      case WireType.Bit64:
        this.skipBytes(8);
        return;
      case WireType.Length:
        this.skipBytes(this.length());
        return;
      case WireType.Bit32:
        this.skipBytes(4);
        return;
      default:
        throw new MalformedMessage(`wire type ${wireType} before byte ${this.at}`);
    }
  }

  #byte(): number {
    if (this.at >= this.end)
      throw new MalformedMessage(`the message ends within a value, at byte ${this.at}`);
    return this.bytes[this.at++] as number;
  }

  /** Tags and lengths are nearly always one byte; more than five bytes, or bits above 32, are rejected. */
  #uint32(what: string): number {
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      byte = this.#byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    byte = this.#byte();
    if (byte > 0x0f) throw new MalformedMessage(`${what} of more than 32 bits before byte ${this.at}`);
    return (value | (byte << 28)) >>> 0;
  }
}
