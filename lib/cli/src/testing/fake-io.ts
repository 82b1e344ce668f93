import { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import type { Io } from '../command/io.js';

/** An output that stores what was written. */
export class Collected extends Writable {
  readonly #parts: Buffer[] = [];
  isTTY?: boolean;
  rows?: number;
  columns?: number;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#parts.push(Buffer.from(chunk));
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }
}

/** A terminal's input that stores its mode. */
class FakeInput extends PassThrough {
  isTTY?: boolean;
  readonly modes: boolean[] = [];

  setRawMode(raw: boolean): this {
    this.modes.push(raw);
    return this;
  }
}

/** A process's environment and streams for a test. */
export interface FakeIo extends Io {
  readonly stdin: FakeInput;
  readonly stdout: Collected;
  readonly stderr: Collected;
  readonly signals: EventEmitter;
}

export function fakeIo(environment: Record<string, string> = {}): FakeIo {
  return {
    stdin: new FakeInput(),
    stdout: new Collected(),
    stderr: new Collected(),
    environment,
    signals: new EventEmitter(),
  };
}
