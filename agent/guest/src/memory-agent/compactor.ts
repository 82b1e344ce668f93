import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-log.js';
import type { CompactSettings } from './memory-agent-settings.js';
import { Pressure } from './pressure.js';

/** Interval between checks of the pressure during a compaction. */
const pressureCheckMs = 1_000;

/** Amounts of free memory that decide whether a compaction is worth while. */
export interface FreeMemory {
  /** All free memory, in pages of 4 KiB. */
  readonly pages: number;
  /** Free pages of movable page blocks, in free blocks below the wanted order. */
  readonly scattered: number;
}

/** Compacts free memory periodically, so that a balloon can return it to the host in large blocks. */
export class Compactor {
  readonly #proc: string;
  readonly #log: GuestLog;
  readonly #pressure: Pressure;
  #before: FreeMemory = { pages: 0, scattered: 0 };
  #skippedRounds = 0;

  /** `proc`: `/proc`. */
  constructor(proc: string, log: GuestLog) {
    this.#proc = proc;
    this.#log = log;
    this.#pressure = new Pressure(pressureFiles(proc));
  }

  /** Compacts memory if that is worth while or due; returns whether it did. */
  async round(settings: CompactSettings): Promise<boolean> {
    const calm = this.#pressure.percent() <= settings.periodPressureLimit;
    const forced = settings.forceTimes !== 'max' && this.#skippedRounds >= settings.forceTimes;
    const worthWhile = forced || isWorthWhile(this.#free(settings), this.#before, settings.threshold);
    if (!calm || !worthWhile) {
      this.#skippedRounds += 1;
      return false;
    }
    const end = await compact(this.#proc, settings);
    this.#log('debug', 'free memory was compacted', { end });
    this.#before = this.#free(settings);
    this.#skippedRounds = 0;
    return true;
  }

  #free({ order }: CompactSettings): FreeMemory {
    const read = (name: string): string => readFileSync(join(this.#proc, name), 'utf8');
    const kibibytes = Number(/^MemFree:\s+(\d+) kB$/m.exec(read('meminfo'))?.[1] ?? Number.NaN);
    return { pages: kibibytes / 4, scattered: scatteredPages(read('pagetypeinfo'), order) };
  }
}

/** Reports whether, since the last compaction, scattered pages grew or free memory shrank by more than `threshold` pages. */
export function isWorthWhile(now: FreeMemory, before: FreeMemory, threshold: number): boolean {
  return now.scattered > before.scattered + threshold || before.pages > now.pages + threshold;
}

/**
 * Sums the free blocks of type Movable below an order in /proc/pagetypeinfo, in pages. Its lines have one count for each
 * order, from 0.
 */
export function scatteredPages(text: string, order: number): number {
  const zones = [...text.matchAll(/^Node .*, type +Movable +([\d ]+)$/gm)];
  const counts = zones.map((match) => (match[1] ?? '').trim().split(/ +/).slice(0, order).map(Number));
  return counts
    .flatMap((blocks) => blocks.map((count, index) => count * 2 ** index))
    .reduce((a, b) => a + b, 0);
}

/**
 * Makes the kernel compact all memory. The kernel does so within write(2), with no limit of time, so a child process writes:
 * it can be killed. Returns how the compaction ended: `done`, or why it was stopped.
 */
async function compact(proc: string, { secondsMax, pressureLimit }: CompactSettings): Promise<string> {
  const pressure = new Pressure(pressureFiles(proc));
  pressure.percent();
  const writer = spawn('tee', [join(proc, 'sys/vm/compact_memory')], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/bin:/bin' },
  });
  let end = 'done';
  const stop = (why: string): void => {
    end = why;
    writer.kill('SIGKILL');
  };
  const timer = setTimeout(() => stop('it took too long'), Math.min(secondsMax * 1000, 2 ** 31 - 1));
  const check = setInterval(() => {
    if (pressure.percent() > pressureLimit) stop('there was pressure');
  }, pressureCheckMs);
  try {
    writer.stdin.on('error', () => writer.stdin.destroy());
    writer.stdin.end('1');
    const [code]: (number | string | null)[] = await once(writer, 'exit');
    if (code !== 0 && code !== null)
      throw new GuestError(
        'precondition',
        'the kernel cannot compact memory; help: use a kernel with CONFIG_COMPACTION',
      );
    return end;
  } finally {
    clearTimeout(timer);
    clearInterval(check);
  }
}

function pressureFiles(proc: string): readonly string[] {
  return ['pressure/memory', 'pressure/io'].map((name) => join(proc, name));
}
