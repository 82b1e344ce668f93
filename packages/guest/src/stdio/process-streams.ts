import { GuestError } from '../guest-error.js';
import type { StreamName } from '../actions.js';
import type { Passing } from '../passfd/pass-stdio.js';
import type { InputStream } from './input-stream.js';
import type { OutputLog } from './output-log.js';
import type { OutputStream } from './output-stream.js';

const nothing = new Uint8Array(0);

interface Streams {
  readonly input: InputStream;
  readonly stdout: OutputStream;
  /** None with a terminal: both are one stream there. */
  readonly stderr?: OutputStream;
  /** What keeps output that nobody may read. */
  readonly logs: readonly OutputLog[];
  /** With a terminal only. */
  readonly resize?: (rows: number, columns: number) => void;
}

/** A process's three standard streams, as pipes or as a terminal. */
export class ProcessStreams {
  readonly #streams: Streams;
  /** What passes over connections of the host's; undefined: reads and writes come by calls. */
  passing: Passing | undefined;

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  /** A terminal has no stderr: reads of it answer the end of file. */
  read(stream: StreamName, length: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#streams[stream]?.read(length, signal) ?? Promise.resolve(nothing);
  }

  noteReader(stream: StreamName, reader: string, admitted: boolean): void {
    this.#streams[stream]?.noteReader(reader, admitted);
  }

  forgetReaders(): void {
    this.#streams.stdout.forgetReaders();
    this.#streams.stderr?.forgetReaders();
    this.passing?.reconsider();
  }

  write(data: Uint8Array): Promise<number> {
    return this.#streams.input.write(data);
  }

  closeInput(): void {
    this.#streams.input.close();
  }

  resize(rows: number, columns: number): void {
    if (this.#streams.resize === undefined) {
      throw new GuestError('precondition', 'no tty: the process has no terminal that could be resized');
    }
    this.#streams.resize(rows, columns);
  }

  /** Nobody reads stdin any more, and the output ends by itself or soon. */
  processEnded(): void {
    const { input, stdout, stderr } = this.#streams;
    if (this.#streams.resize === undefined) input.end();
    // A terminal's input and output are one descriptor, which goes when the output has ended.
    void Promise.all([stdout.processEnded(), stderr?.processEnded()]).then(() => input.end());
  }

  /** Closes everything now. Reads that wait get the end of file, writes that wait an error. */
  end(): void {
    const { input, stdout, stderr, logs } = this.#streams;
    this.passing?.end();
    stdout.end();
    stderr?.end();
    input.end();
    for (const log of logs) log.remove();
  }
}
