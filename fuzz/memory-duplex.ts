import { Duplex } from 'node:stream';

/** A duplex stream with its other end in this program: `receive` provides input, `heard` has the output. */
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

  /** Ends the input. */
  receiveEnd(): void {
    this.push(null);
  }

  override _read(): void {
    // `receive` pushes without backpressure: a fuzz run has few bytes.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.heard.push(chunk);
    this.#onHeard();
    done();
  }
}
