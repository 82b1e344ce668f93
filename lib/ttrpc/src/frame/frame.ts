import { FrameMemory } from './frame-memory.js';

const nothing = Buffer.alloc(0);

/** Length u32, stream id u32 (both big-endian), type u8, flags u8. */
export const headerBytes = 10;

export const FrameType: { readonly Request: 1; readonly Response: 2; readonly Data: 3 } = {
  Request: 1,
  Response: 2,
  Data: 3,
};

/** Named from the receiver's view: `RemoteClosed` says that the sender sends nothing more. */
export const FrameFlag: { readonly RemoteClosed: 1; readonly RemoteOpen: 2; readonly NoData: 4 } = {
  RemoteClosed: 1,
  RemoteOpen: 2,
  NoData: 4,
};

/** A frame in the receive buffer. Views of it may be kept: nothing is written there again, unless its memory is given back. */
export interface Frame {
  readonly streamId: number;
  /** One of FrameType, or an unknown number from a later protocol version. */
  readonly type: number;
  readonly flags: number;
  readonly buffer: Buffer;
  /** Offsets of the data in `buffer`. */
  readonly start: number;
  readonly end: number;
  /** Whether the buffer is from `FrameMemory` and has no other frame. */
  readonly alone: boolean;
}

/** Returns the frame's data as a view. A plain Uint8Array, because `slice` of a Buffer does not copy. */
export function frameData(frame: Frame): Uint8Array {
  return view(frame.buffer, frame.start, frame.end);
}

/** Returns a part of a buffer as a plain Uint8Array that shares its memory. */
export function view(buffer: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start);
}

/** Writes a header at an offset and returns the offset after it. */
export function writeHeader(
  target: Buffer,
  offset: number,
  length: number,
  streamId: number,
  type: number,
  flags: number,
): number {
  target.writeUInt32BE(length, offset);
  target.writeUInt32BE(streamId, offset + 4);
  target[offset + 8] = type;
  target[offset + 9] = flags;
  return offset + headerBytes;
}

/** A header declared a length over the limit. The reader cannot be used after it, because the data is never read. */
export class OversizedFrame extends Error {
  readonly streamId: number;

  constructor(streamId: number, length: number, limit: number) {
    super(`message length ${length} exceeds the maximum of ${limit}`);
    this.name = 'OversizedFrame';
    this.streamId = streamId;
  }
}

/**
 * Splits a byte stream into frames. `push` and `copy` add bytes; `next` returns frames until it returns undefined.
 *
 * A frame within one chunk is returned in place. A frame that spans chunks is collected in memory of
 * `FrameMemory`, which grows with the bytes received, not with the declared length.
 */
export class FrameReader {
  readonly #maxFrameBytes: number;
  readonly #memory: FrameMemory;
  #chunk: Buffer = nothing;
  #at = 0;
  /** The partial frame, header included; empty when there is none. */
  #partial: Buffer = nothing;
  #have = 0;
  /** Bytes needed to continue the partial frame: the header, then header and data. */
  #need = 0;

  constructor(maxFrameBytes: number, memory: FrameMemory = new FrameMemory()) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#memory = memory;
  }

  /** Reports whether a frame has begun and not ended. Valid right after `next` has returned undefined. */
  get begun(): boolean {
    return this.#need > 0;
  }

  /** Reports whether there are bytes that `next` has not read. */
  get pending(): boolean {
    return this.#at < this.#chunk.length || (this.#need > 0 && this.#have === this.#need);
  }

  /** Copies bytes, which the caller uses again: those of a partial frame to their place, and the rest as a chunk. */
  copy(bytes: Uint8Array): void {
    const continues = this.#need > 0 && !this.pending;
    const count = continues ? Math.min(this.#need - this.#have, bytes.length) : 0;
    if (count > 0) this.#append(bytes, 0, count);
    if (count < bytes.length) this.push(Buffer.from(bytes.subarray(count)));
  }

  /** Takes ownership of a chunk: the caller must not write to it again. */
  push(chunk: Buffer): void {
    const rest = this.#chunk.length - this.#at;
    this.#chunk = rest === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Returns the next complete frame, or undefined when more bytes are needed. Throws OversizedFrame. */
  next(): Frame | undefined {
    if (this.#need > 0) return this.#continue();
    const chunk = this.#chunk;
    const at = this.#at;
    const rest = chunk.length - at;
    if (rest === 0) {
      this.#chunk = nothing;
      this.#at = 0;
      return undefined;
    }
    if (rest < headerBytes) return this.#begin(headerBytes);
    const length = this.#dataLength(chunk, at);
    const total = headerBytes + length;
    if (rest < total) return this.#begin(total);
    this.#at = at + total;
    return frameAt(chunk, at, length, false);
  }

  #begin(need: number): undefined {
    const rest = this.#chunk.length - this.#at;
    this.#need = need;
    this.#have = 0;
    this.#partial = this.#memory.room(need, rest);
    this.#take(rest);
  }

  #continue(): Frame | undefined {
    for (;;) {
      this.#take(Math.min(this.#need - this.#have, this.#chunk.length - this.#at));
      if (this.#have < this.#need) return undefined;
      const length = this.#dataLength(this.#partial, 0);
      const total = headerBytes + length;
      if (this.#need === total) {
        const frame = frameAt(this.#partial, 0, length, true);
        this.#partial = nothing;
        this.#need = 0;
        return frame;
      }
      this.#need = total;
    }
  }

  /** Moves bytes from the chunk to the partial frame. */
  #take(count: number): void {
    this.#append(this.#chunk, this.#at, count);
    this.#at += count;
    if (this.#at === this.#chunk.length) {
      this.#chunk = nothing;
      this.#at = 0;
    }
  }

  #append(source: Uint8Array, at: number, count: number): void {
    const wanted = this.#have + count;
    if (wanted > this.#partial.length) {
      const larger = this.#memory.room(this.#need, wanted);
      this.#partial.copy(larger, 0, 0, this.#have);
      this.#partial = larger;
    }
    this.#partial.set(source.subarray(at, at + count), this.#have);
    this.#have = wanted;
  }

  #dataLength(buffer: Buffer, at: number): number {
    const length = buffer.readUInt32BE(at);
    if (length > this.#maxFrameBytes)
      throw new OversizedFrame(buffer.readUInt32BE(at + 4), length, this.#maxFrameBytes);
    return length;
  }
}

function frameAt(buffer: Buffer, at: number, length: number, alone: boolean): Frame {
  const start = at + headerBytes;
  return {
    streamId: buffer.readUInt32BE(at + 4),
    type: buffer[at + 8] as number,
    flags: buffer[at + 9] as number,
    buffer,
    start,
    end: start + length,
    alone,
  };
}
