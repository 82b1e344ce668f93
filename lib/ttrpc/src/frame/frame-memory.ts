/** Initial buffer size for a partial frame; grown as bytes arrive, never by the declared length alone. */
const firstRoom = 4096;
/**
 * A partial frame gets room for this many times the bytes that have arrived, up to its length: a large frame that arrives in
 * chunks of 64 KiB is not moved again and again. Room that nothing was written to takes no physical memory.
 */
const growth = 8;

/** Frames from this size on, in bytes, use memory again. */
const largeFrame = 131_072;
/** Room for a large frame is a multiple of it, so that the next one of a file fits, too. */
const step = 65_536;
/** Memory that was not used again for so long is released. */
const keptMs = 10_000;

/**
 * The memory of frames that span chunks. Fresh memory for each large frame makes V8 collect garbage every few frames, and
 * the kernel clear all pages again; so that of one frame is kept, and used again when its call has given it back.
 *
 * Giving back moves the memory to another ArrayBuffer, which *detaches* all views of the old one, such as `bytes` fields of the
 * message: code that still has one sees no bytes at all, and never those of another call.
 */
export class FrameMemory {
  #kept: Buffer | undefined;
  #release: NodeJS.Timeout | undefined;

  /** Returns room for a frame of that many bytes, `arrived` of which are there. It may be less than the whole frame. */
  room(frameBytes: number, arrived: number): Buffer {
    const kept = this.#kept;
    if (frameBytes >= largeFrame && kept !== undefined && kept.length >= frameBytes) {
      this.#kept = undefined;
      return kept;
    }
    const whole = frameBytes >= largeFrame ? Math.ceil(frameBytes / step) * step : frameBytes;
    return Buffer.allocUnsafeSlow(Math.min(whole, Math.max(firstRoom, growth * arrived)));
  }

  /** Takes memory of `room` back, which must hold one frame alone. Nothing outside V8 may use it any more, such as a write to a socket. */
  giveBack({ buffer }: Buffer): void {
    if (buffer.byteLength < largeFrame || !(buffer instanceof ArrayBuffer)) return;
    this.#kept = Buffer.from(structuredClone(buffer, { transfer: [buffer] }));
    if (this.#release !== undefined) this.#release.refresh();
    else {
      this.#release = setTimeout(() => {
        this.#release = undefined;
        this.#kept = undefined;
      }, keptMs);
      this.#release.unref();
    }
  }
}
