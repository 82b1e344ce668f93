import { readFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** The share of time in which tasks waited for memory or I/O: pressure stall information (Documentation/accounting/psi.rst). */
export class Pressure {
  readonly #files: readonly string[];
  readonly #now: () => bigint;
  #last: { readonly at: bigint; readonly waited: number } | undefined;

  /** `now`: a monotonic clock, in nanoseconds. */
  constructor(files: readonly string[], now: () => bigint = () => process.hrtime.bigint()) {
    this.#files = files;
    this.#now = now;
  }

  /**
   * Returns the percentage of time spent waiting since the previous call, summed over the files: several can give over 100.
   * 0 at the first call.
   */
  percent(): number {
    const at = this.#now();
    const waited = this.#files.map(waitedMicroseconds).reduce((sum, waited) => sum + waited, 0);
    const last = this.#last;
    this.#last = { at, waited };
    if (last === undefined || at <= last.at) return 0;
    return (100 * 1000 * (waited - last.waited)) / Number(at - last.at);
  }
}

/** Returns the time since boot in which at least one task waited, in microseconds. */
function waitedMicroseconds(file: string): number {
  const total = /^some .*\btotal=(\d+)$/m.exec(text(file))?.[1];
  if (total === undefined) throw new GuestError('internal', `${file} has no line "some … total="`);
  return Number(total);
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
    const remedy = 'use a kernel with CONFIG_PSI, and psi=1 on its command line';
    const message = `${file} cannot be read: the kernel has no pressure stall information; help: ${remedy}`;
    throw new GuestError('precondition', message, { cause: error });
  }
}
