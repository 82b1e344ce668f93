import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { Banks } from './algorithm.js';
import { MeasurementError, reasonOf } from './measurement-error.js';

/** An extend of one register: written before it, so that a start after a crash can tell whether it happened. */
export interface Extend {
  readonly register: string;
  readonly before: Banks;
  readonly digests: Banks;
  /** It is known to have happened. */
  readonly done: boolean;
}

/** What was measured since the machine started. */
export interface MeasuredBoot {
  readonly bootId: string;
  /** The event's data, in base64. */
  readonly event: string;
  /** What was measured, for people. */
  readonly subject: string;
  readonly extends: readonly Extend[];
}

const fileName = 'state.json';

/**
 * What this boot has measured; undefined: nothing yet. A file of an earlier boot counts for nothing: its registers are
 * gone. Throws a MeasurementError for a file that cannot be read, since then a register might be extended twice.
 */
export function readMeasuredBoot(folder: string, bootId: string): MeasuredBoot | undefined {
  const path = join(folder, fileName);
  try {
    const state = JSON.parse(readFileSync(path, 'utf8')) as MeasuredBoot;
    return state.bootId === bootId ? state : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    const message = `${path} does not tell what was measured: ${reasonOf(error)}: start the guest again`;
    throw new MeasurementError(message, { cause: error });
  }
}

export function writeMeasuredBoot(folder: string, state: MeasuredBoot): void {
  replaceFile(join(folder, fileName), Buffer.from(`${JSON.stringify(state, undefined, 2)}\n`));
}

/** Puts a file in place as a whole or not at all. Throws a MeasurementError. */
export function replaceFile(path: string, bytes: Uint8Array): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const descriptor = openSync(`${path}.new`, 'w', 0o644);
    try {
      writeSync(descriptor, bytes);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new MeasurementError(`${path} cannot be written: ${reasonOf(error)}`, { cause: error });
  }
}
