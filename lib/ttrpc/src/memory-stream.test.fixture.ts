import { Duplex } from 'node:stream';
import type { LendingStream } from './frame/lending-stream.js';

/** Creates two connected streams in memory, with backpressure. */
export function streamPair(): [MemoryStream, MemoryStream] {
  const one = new MemoryStream();
  const two = new MemoryStream();
  one.peer = two;
  two.peer = one;
  return [one, two];
}

/** Makes a stream lend received bytes, at most `size` at once, in memory that has others when they have been taken. */
export function lending(stream: MemoryStream, size = 65_536): LendingStream {
  const memory = new Uint8Array(size);
  stream.pause();
  return Object.assign(stream, {
    lendTo: (borrow: (bytes: Uint8Array) => void): void => {
      stream.on('data', (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; at += size) {
          const part = chunk.subarray(at, at + size);
          memory.set(part);
          borrow(memory.subarray(0, part.length));
          memory.fill(0xee);
        }
      });
    },
  });
}

export class MemoryStream extends Duplex {
  peer: MemoryStream | undefined;
  /** Calls of write or writev that reached the transport. */
  writes = 0;
  #waiting: ((error?: Error) => void) | undefined;

  constructor() {
    super({ allowHalfOpen: false });
  }

  override _read(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error) => void): void {
    this.writes++;
    this.peer?.deliver([chunk], callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error) => void): void {
    this.writes++;
    this.peer?.deliver(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  override _final(callback: () => void): void {
    this.peer?.push(null);
    callback();
  }

  /** As with a socket, the other end reads end of file and its writes fail. */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(new Error('EPIPE'));
    if (this.peer !== undefined && !this.peer.destroyed && !this.peer.readableEnded) this.peer.push(null);
    callback(error);
  }

  deliver(chunks: Buffer[], callback: (error?: Error) => void): void {
    if (this.destroyed) {
      setImmediate(() => callback(new Error('EPIPE')));
      return;
    }
    let room = true;
    for (const chunk of chunks) room = this.push(chunk);
    if (room) setImmediate(callback);
    else this.#waiting = callback;
  }
}
