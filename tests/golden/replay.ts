import { Duplex } from 'node:stream';

import type { Conversation, GoldenFrame } from './conversation.js';

const headerBytes = 10;

/**
 * The other end of a golden conversation: sends one role's frames, each after all frames before it, and stores the
 * frames of the side under test. It compares nothing, so that a test shows all differences.
 */
export class Replay extends Duplex {
  readonly #frames: readonly GoldenFrame[];
  readonly #plays: GoldenFrame['from'];
  readonly #heard: string[] = [];
  readonly #finished: Promise<void>;
  #finish: () => void = () => undefined;
  #at = 0;
  #pending: Buffer = Buffer.alloc(0);

  constructor(conversation: Conversation, plays: GoldenFrame['from']) {
    super();
    this.#frames = conversation.frames;
    this.#plays = plays;
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    process.nextTick(() => this.#play());
  }

  /** Resolves with the received frames, once there are as many as in the conversation. */
  async heard(): Promise<readonly string[]> {
    await this.#finished;
    return this.#heard;
  }

  override _read(): void {
    // Frames are pushed in turn; a conversation is too small for backpressure.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= headerBytes) {
      const total = headerBytes + this.#pending.readUInt32BE(0);
      if (this.#pending.length < total) break;
      this.#heard.push(this.#pending.toString('hex', 0, total));
      this.#pending = this.#pending.subarray(total);
      this.#at += 1;
      this.#play();
    }
    done();
  }

  #play(): void {
    for (let frame = this.#frames[this.#at]; frame?.from === this.#plays; frame = this.#frames[this.#at]) {
      this.push(Buffer.from(frame.hex, 'hex'));
      this.#at += 1;
    }
    if (this.#at >= this.#frames.length) this.#finish();
  }
}
