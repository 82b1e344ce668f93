import type { Duplex } from 'node:stream';
import { FairTurns, type Turn } from './fair-turns.js';
import type { FrameMemory } from './frame-memory.js';
import { type Frame, FrameReader, OversizedFrame } from './frame.js';
import type { Limits } from '../limits.js';
import { lends } from './lending-stream.js';
import { Outbox } from './outbox.js';
import type { EncodedPayload } from './payload.js';

/** Callbacks of a channel to its owner. None of them may throw. */
export interface ChannelOwner {
  frame(frame: Frame): void;
  /** A header declared a length over the limit. Nothing more is read; the owner answers and ends the channel. */
  oversized(frame: OversizedFrame): void;
  /** The peer violated the protocol; the channel is destroyed next. */
  violation(message: string): void;
  /** Called once; nothing is sent or received after it. The error is the stream's own. */
  lost(error: Error | undefined): void;
}

/** Reasons to pause reading, as bits of one number. */
export const Hold: {
  readonly Writes: 1;
  readonly Streams: 2;
  readonly Turn: 4;
  readonly Over: 8;
  readonly Asked: 16;
} = {
  Writes: 1,
  Streams: 2,
  Turn: 4,
  Over: 8,
  Asked: 16,
};

/** Pending bytes that trigger a write before the end of the tick. */
const flushBytes = 262_144;

/**
 * Frames over a duplex stream, with backpressure in both directions. Frames are received in order, with one call of
 * `frame` each; frames sent within one tick leave in one write.
 */
export class FrameChannel {
  readonly #stream: Duplex;
  readonly #limits: Limits;
  readonly #owner: ChannelOwner;
  readonly #reader: FrameReader;
  readonly #turn: Turn;
  readonly #outbox = new Outbox();
  #holds = 0;
  #pumping = false;
  #flushScheduled = false;
  readonly #flushLater = (): void => {
    this.#flushScheduled = false;
    this.#flush();
  };
  #closed = false;
  #error: Error | undefined;
  #drainWaiters: (() => void)[] = [];
  #frameTimer: NodeJS.Timeout | undefined;
  #frameDeadline = 0;
  #endTimer: NodeJS.Timeout | undefined;

  /** `turn` and `memory` are shared with other channels; by default the channel has its own. */
  constructor(
    stream: Duplex,
    limits: Limits,
    owner: ChannelOwner,
    turn: Turn = new FairTurns().join(undefined),
    memory?: FrameMemory,
  ) {
    this.#turn = turn;
    this.#stream = stream;
    this.#limits = limits;
    this.#owner = owner;
    this.#reader = new FrameReader(limits.maxFrameBytes, memory);
    stream.on('error', (error) => {
      this.#error ??= error;
      this.destroy();
    });
    stream.once('close', () => {
      clearTimeout(this.#endTimer);
      this.#finish();
    });
    if (stream.destroyed) {
      process.nextTick(() => this.#finish());
      return;
    }
    if (lends(stream)) {
      stream.lendTo((bytes) => this.#borrow(bytes));
      stream.resume();
    } else stream.on('data', (chunk) => this.#receive(chunk));
    stream.once('end', () => {
      this.end();
      this.#finish();
    });
    stream.on('drain', () => this.#drained());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends a frame; see Outbox.add. `alone` says that no other frame is expected in this tick, so batching would only
   * add latency.
   */
  send(
    streamId: number,
    type: number,
    flags: number,
    payload?: EncodedPayload,
    tag?: number,
    lead?: Uint8Array,
    alone = false,
  ): void {
    if (this.#closed || !this.#stream.writable) return;
    this.#outbox.add(streamId, type, flags, payload, tag, lead);
    const now = alone && !this.#flushScheduled && !(this.#pumping && this.#reader.pending);
    if (now || this.#outbox.bytes >= flushBytes) {
      this.#flush();
    } else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      process.nextTick(this.#flushLater);
    }
  }

  /**
   * Returns undefined when there is room for more; otherwise a promise that resolves when the peer has taken the
   * written bytes or the channel has closed. Senders wait at half the limit that pauses reading, so that a single
   * stream does not pause it.
   */
  drained(): Promise<void> | undefined {
    if (this.#closed || this.#outbox.bytes + this.#stream.writableLength <= this.#limits.writeBufferBytes / 2)
      return undefined;
    this.#flush();
    if (!this.#stream.writableNeedDrain) return undefined;
    return new Promise((resolve) => {
      this.#drainWaiters.push(resolve);
    });
  }

  /** Pauses reading until the same reason is released. */
  hold(reason: number): void {
    this.#holds |= reason;
  }

  release(reason: number): void {
    if ((this.#holds & reason) === 0) return;
    this.#holds &= ~reason;
    if (this.#holds === 0) this.#pump();
  }

  /** Flushes pending frames, then closes. A peer that does not read is given `frameTimeoutMs`. */
  end(): void {
    if (this.#closed || this.#endTimer !== undefined) return;
    this.hold(Hold.Over);
    this.#flush();
    this.#stream.pause();
    this.#stream.end(() => this.destroy());
    this.#endTimer = setTimeout(() => this.destroy(), this.#limits.frameTimeoutMs);
  }

  destroy(): void {
    this.#stream.destroy();
    this.#finish();
  }

  #receive(chunk: unknown): void {
    if (this.#closed) return;
    if (!(chunk instanceof Uint8Array)) {
      this.#violate(`the stream returned a ${typeof chunk} instead of bytes`);
      return;
    }
    this.#reader.push(
      Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length),
    );
    this.#pump();
  }

  #borrow(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#reader.copy(bytes);
    this.#pump();
  }

  /** Delivers complete frames until there are none or reading is held. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#holds === 0 && !this.#closed) {
        if (!this.#reader.pending) break;
        if (!this.#turn.take()) {
          this.#awaitTurn();
          break;
        }
        const frame = this.#reader.next();
        if (frame === undefined) break;
        this.#frameDeadline = 0;
        this.#owner.frame(frame);
      }
    } catch (error) {
      if (!(error instanceof OversizedFrame)) throw error;
      this.hold(Hold.Over);
      this.#owner.oversized(error);
    } finally {
      this.#pumping = false;
    }
    this.#settleReading();
  }

  #awaitTurn(): void {
    this.hold(Hold.Turn);
    this.#turn.wait(() => this.release(Hold.Turn));
  }

  #settleReading(): void {
    if (this.#closed) return;
    if (this.#holds !== 0) {
      this.#frameDeadline = 0;
      if (!this.#stream.isPaused()) this.#stream.pause();
      return;
    }
    if (this.#stream.isPaused()) this.#stream.resume();
    this.#watchFrame();
  }

  /**
   * Sets the time by which the current frame must be complete. The timer keeps running between frames, which is cheaper
   * than restarting it.
   */
  #watchFrame(): void {
    if (!this.#reader.begun) {
      this.#frameDeadline = 0;
      return;
    }
    if (this.#frameDeadline === 0) this.#frameDeadline = performance.now() + this.#limits.frameTimeoutMs;
    if (this.#frameTimer === undefined) this.#armFrameTimer(this.#limits.frameTimeoutMs);
  }

  #armFrameTimer(ms: number): void {
    this.#frameTimer = setTimeout(() => {
      this.#frameTimer = undefined;
      if (this.#frameDeadline === 0) return;
      const left = this.#frameDeadline - performance.now();
      if (left > 0) this.#armFrameTimer(Math.ceil(left));
      else this.#violate(`a frame did not end within ${this.#limits.frameTimeoutMs} ms`);
    }, ms);
    this.#frameTimer.unref();
  }

  #violate(message: string): void {
    this.#owner.violation(message);
    this.destroy();
  }

  #flush(): void {
    if (this.#closed || this.#outbox.bytes === 0) return;
    const chunks = this.#outbox.take();
    const stream = this.#stream;
    if (chunks.length === 1) stream.write(chunks[0]);
    else {
      stream.cork();
      for (const chunk of chunks) stream.write(chunk);
      stream.uncork();
    }
    if (stream.writableLength > this.#limits.writeBufferBytes && stream.writableNeedDrain) {
      this.hold(Hold.Writes);
      if (!this.#pumping) this.#settleReading();
    }
  }

  #drained(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resume of waiters) resume();
    this.release(Hold.Writes);
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#turn.leave();
    clearTimeout(this.#frameTimer);
    for (const resume of this.#drainWaiters) resume();
    this.#drainWaiters = [];
    this.#owner.lost(this.#error);
  }
}
