import { headerBytes, writeHeader } from './frame.js';
import { emptyPayload, largePart, type EncodedPayload } from './payload.js';

const slabBytes = 65_536;
const empty = new Uint8Array(0);

/**
 * Frames to be written, in as few chunks as possible: small parts are copied into a shared chunk, large ones are chunks
 * of their own. A chunk is never modified after it was taken.
 */
export class Outbox {
  #slab: Buffer = Buffer.alloc(0);
  #from = 0;
  #at = 0;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  /** Number of pending bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a frame whose data is `lead` followed by the payload. When `tag` is not 0, the payload is a length-delimited
   * field with that one-byte tag, omitted when it is empty.
   */
  add(
    streamId: number,
    type: number,
    flags: number,
    payload: EncodedPayload = emptyPayload,
    tag = 0,
    lead: Uint8Array = empty,
  ): void {
    const prefix = tag === 0 || payload.length === 0 ? 0 : 1 + varintBytes(payload.length);
    const length = lead.length + prefix + payload.length;
    this.#bytes += headerBytes + length;
    this.#room(headerBytes + prefix);
    this.#at = writeHeader(this.#slab, this.#at, length, streamId, type, flags);
    this.#append(lead);
    if (prefix > 0) {
      this.#room(prefix);
      this.#slab[this.#at++] = tag;
      this.#varint(payload.length);
    }
    this.#append(payload.head);
    if (payload.tail !== undefined) this.#append(payload.tail);
  }

  /** Removes and returns all chunks, in writing order. */
  take(): readonly Uint8Array[] {
    this.#cut();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    return chunks;
  }

  #append(part: Uint8Array): void {
    if (part.length >= largePart) {
      this.#cut();
      this.#chunks.push(part);
    } else if (part.length > 0) {
      this.#room(part.length);
      this.#slab.set(part, this.#at);
      this.#at += part.length;
    }
  }

  /** Ensures that `count` bytes fit into the current chunk. */
  #room(count: number): void {
    if (this.#slab.length - this.#at >= count) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(slabBytes);
    this.#from = 0;
    this.#at = 0;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#chunks.push(this.#slab.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.#slab[this.#at++] = (rest & 0x7f) | 0x80;
    this.#slab[this.#at++] = rest;
  }
}

/** Returns the varint size of a length up to 2^28. */
function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x200000 ? 3 : 4;
}
