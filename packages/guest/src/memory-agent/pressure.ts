import { readFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/**
 * How much of the time somebody had to wait for memory or for a disk (the kernel's PSI, Documentation/accounting/psi.rst).
 */
export class Pressure {
  readonly #files: readonly string[];
  readonly #now: () => bigint;
  #last: { readonly at: bigint; readonly waited: number } | undefined;

  /** `now`: a clock that is never set, in nanoseconds. */
  constructor(files: readonly string[], now: () => bigint = () => process.hrtime.bigint()) {
    this.#files = files;
    this.#now = now;
  }

  /** Percent of the time since it was asked before, over 100 when several files have waits; 0 the first time. */
  percent(): number {
    const at = this.#now();
    const waited = this.#files.map(someWaited).reduce((sum, microseconds) => sum + microseconds, 0);
    const last = this.#last;
    this.#last = { at, waited };
    if (last === undefined || at <= last.at) return 0;
    return (100 * 1000 * (waited - last.waited)) / Number(at - last.at);
  }
}

/** Microseconds, since boot, in which at least one task waited. */
function someWaited(file: string): number {
  const total = /^some .*\btotal=(\d+)$/m.exec(text(file))?.[1];
  if (total === undefined) throw new GuestError('internal', `${file} does not hold a line "some … total="`);
  return Number(total);
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
    const message = `${file} cannot be read: the kernel does not account for pressure (CONFIG_PSI, psi=1)`;
    throw new GuestError('precondition', message, { cause: error });
  }
}
