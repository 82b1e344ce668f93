import type { SignedHead } from '../audit-log.js';
import type { Clock } from '../clock.js';
import type { FileLayer } from '../files/file-layer.js';
import { replaceFile } from '../tree/replace-file.js';

/** A checkpoint is made early when so many records have been written since the last one. */
const earlyRecords = 1_000;

/** The path of a log's newest checkpoint. */
export function checkpointPath(file: string): string {
  return `${file}.checkpoint`;
}

/** The path of the newest checkpoint that a quorum of witnesses has cosigned. */
export function cosignedPath(file: string): string {
  return `${file}.cosigned`;
}

export interface CheckpointWriterOptions {
  /** Of the log. */
  readonly file: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  /** In ms. */
  readonly everyMs: number;
  /** Number of records that the log has written. */
  readonly size: () => number;
  readonly sign: () => Promise<SignedHead>;
  readonly onFailure: (error: Error) => void;
}

/**
 * Writes checkpoints beside the log, for programs that copy both: after a time if there are new records, or after many records. The
 * file always has a whole checkpoint.
 */
export class CheckpointWriter {
  readonly #options: CheckpointWriterOptions;
  #writtenSize = 0;
  /** The number of records at the last attempt: a failed one is not repeated with each record. */
  #triedSize = 0;
  #writing: Promise<void> | undefined;
  #cancel: () => void;
  #isStopped = false;

  constructor(options: CheckpointWriterOptions) {
    this.#options = options;
    this.#cancel = this.#later();
  }

  /** Called after records were written. */
  written(): void {
    if (this.#options.size() - this.#triedSize >= earlyRecords) this.#begin();
  }

  /** Writes the last checkpoint, if there are new records. */
  async stop(): Promise<void> {
    this.#cancel();
    await this.#writing;
    this.#begin();
    this.#isStopped = true;
    await this.#writing;
  }

  #later(): () => void {
    const { clock, everyMs } = this.#options;
    return clock.after(everyMs, () => {
      this.#begin();
      this.#cancel = this.#later();
    });
  }

  #begin(): void {
    const { size, onFailure } = this.#options;
    if (this.#isStopped || this.#writing !== undefined || size() === this.#writtenSize) return;
    this.#triedSize = size();
    this.#writing = this.#write()
      .catch(onFailure)
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #write(): Promise<void> {
    const { file, files, sign } = this.#options;
    const { size, checkpoint } = await sign();
    await replaceFile(checkpointPath(file), checkpoint, files);
    this.#writtenSize = size;
  }
}
