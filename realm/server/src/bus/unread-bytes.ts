/** Larger chunks are not joined. */
const chunkBytes = 64 * 1024;

/**
 * Bytes that have arrived and were not read. A sender that sends single bytes makes no more chunks than the logarithm of their
 * number: else each would take fifty times its size.
 */
export class UnreadBytes {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get chunks(): number {
    return this.#chunks.length;
  }

  /** Copies: the bytes can be a part of something large, which they would keep in memory. */
  add(bytes: Uint8Array): void {
    this.#size += bytes.length;
    const joined: Uint8Array[] = [bytes];
    let length = bytes.length;
    for (let before = this.#chunks.at(-1); before !== undefined; before = this.#chunks.at(-1)) {
      if (before.length > length || before.length + length > chunkBytes) break;
      this.#chunks.pop();
      joined.unshift(before);
      length += before.length;
    }
    const chunk = Buffer.allocUnsafe(length);
    let at = 0;
    for (const part of joined) {
      chunk.set(part, at);
      at += part.length;
    }
    this.#chunks.push(chunk);
  }

  /** Returns the first chunk; undefined if there is none. */
  take(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    this.#size -= chunk?.length ?? 0;
    return chunk;
  }
}
