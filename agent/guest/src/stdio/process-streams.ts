import type { CallSignal } from '../call-signal.js';
import { GuestError } from '../guest-error.js';
import type { StreamName } from '../request/actions.js';
import type { InputStream } from './input-stream.js';
import type { OutputLog, OutputStream } from './output-stream.js';

const nothing = new Uint8Array(0);

interface Streams {
  readonly input: InputStream;
  readonly stdout: OutputStream;
  /** Absent with a terminal, which has one output stream. */
  readonly stderr?: OutputStream;
  /** Logs of output that no client may read. */
  readonly logs: readonly OutputLog[];
  /** Present with a terminal only. */
  readonly resize?: (rows: number, columns: number) => void;
}

/** Copies between a process and connections of the host. */
export interface Passing {
  /** Resolves when all output has been written, or all connections are closed. */
  readonly delivered: Promise<void>;
  /** Called when the rights to read have changed: closes connections that the host may not have any more. */
  reconsider(): void;
  /** Closes the connections at once. */
  end(): void;
}

/** The standard streams of a process, as pipes or as a terminal. */
export class ProcessStreams {
  readonly #streams: Streams;
  /** Streams over connections of the host; undefined: reads and writes come by calls. */
  passing: Passing | undefined;

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  /** A terminal has no stderr: reads of it return the end of file. */
  read(stream: StreamName, length: number, call: CallSignal): Promise<Uint8Array> {
    return this.#streams[stream]?.read(length, call) ?? Promise.resolve(nothing);
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

  /** Called when the process has ended: closes stdin, and ends the output soon. */
  processEnded(): void {
    const { input, stdout, stderr } = this.#streams;
    if (this.#streams.resize === undefined) input.end();
    // A terminal's input and output share a descriptor, which is closed after the output.
    void Promise.all([stdout.processEnded(), stderr?.processEnded()]).then(() => input.end());
  }

  /** Closes all streams at once. Pending reads return the end of file, pending writes fail. */
  end(): void {
    const { input, stdout, stderr, logs } = this.#streams;
    this.passing?.end();
    stdout.end();
    stderr?.end();
    input.end();
    for (const log of logs) log.remove();
  }
}
