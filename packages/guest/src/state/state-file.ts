import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/**
 * Files of our own state, for the agent that comes after one that was killed. Each is replaced as a whole, so that whenever
 * that happens there is the old text or the new one. They need not survive the machine, only the process: nothing is
 * flushed to a disk.
 */
interface Envelope<T> {
  /** Of the form of what is inside. A file of another form is not read. */
  readonly format: typeof format;
  readonly value: T;
}

const format = 1;

/** Only we write below the state directory (S10), so what is read back in our own format has the type it was saved with. */
export function loadState<T>(file: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  const envelope = JSON.parse(text) as Envelope<T>;
  return envelope.format === format ? envelope.value : undefined;
}

export function saveState<T>(file: string, value: T): void {
  const envelope: Envelope<T> = { format, value };
  const fresh = `${file}${freshSuffix}`;
  writeFileSync(fresh, JSON.stringify(envelope), { mode: 0o600 });
  renameSync(fresh, file);
}

export function removeState(file: string): void {
  rmSync(file, { force: true });
}

/** Of a file that is being written. One that is found was never finished, and counts for nothing. */
export const freshSuffix = '.new';
