import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '@kata-agent/base';
import { hasCode } from '@kata-agent/linux';
import type { Banks } from './algorithm.js';
import { MeasurementError, reasonOf } from './measurement-error.js';

/** An extend of one register. Written before the extend, so that a start after a crash can tell whether it happened. */
export interface Extend {
  readonly register: string;
  readonly before: Banks;
  readonly digests: Banks;
  /** The extend is known to have happened. */
  readonly done: boolean;
}

/** What was measured since boot. */
export interface MeasuredBoot {
  readonly bootId: string;
  /** The event's data, in base64. */
  readonly event: string;
  /** A description of what was measured. */
  readonly subject: string;
  readonly extends: readonly Extend[];
}

const fileName = 'state.json';

/**
 * Returns what this boot has measured, or undefined for nothing yet. A file of an earlier boot is ignored, because a
 * reboot resets the registers. Throws a MeasurementError for an unreadable file, since a register might be extended
 * twice.
 */
export function readMeasuredBoot(directory: string, bootId: string): MeasuredBoot | undefined {
  const path = join(directory, fileName);
  try {
    const state = JSON.parse(readFileSync(path, 'utf8')) as MeasuredBoot;
    return state.bootId === bootId ? state : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    const message = `${path} is not a readable boot record: ${reasonOf(error)}: start the guest again`;
    throw new MeasurementError(message, { cause: error });
  }
}

export function writeMeasuredBoot(directory: string, state: MeasuredBoot): void {
  writeMeasured(join(directory, fileName), Buffer.from(`${JSON.stringify(state, undefined, 2)}\n`));
}

/** Replaces a file of measurements. Throws a MeasurementError. */
export function writeMeasured(path: string, bytes: Uint8Array): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    replaceFile(path, bytes, { mode: 0o644, survives: 'machine' });
  } catch (error) {
    throw new MeasurementError(`${path} cannot be written: ${reasonOf(error)}`, { cause: error });
  }
}
