import { Duplex } from 'node:stream';

/** A duplex stream whose other end is this program: what is given to `receive` is read, what is written is `heard`. */
export class MemoryDuplex extends Duplex {
  readonly heard: Buffer[] = [];
  readonly #onHeard: () => void;

  constructor(onHeard: () => void = () => undefined) {
    super();
    this.#onHeard = onHeard;
  }

  receive(bytes: Uint8Array): void {
    this.push(bytes);
  }

  /** No more will be received. */
  receiveEnd(): void {
    this.push(null);
  }

  override _read(): void {
    // `receive` pushes without being asked: a fuzz run's bytes are few.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.heard.push(chunk);
    this.#onHeard();
    done();
  }
}
