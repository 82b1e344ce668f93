import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-options.js';
import type { CompactSettings } from './memory-agent-settings.js';
import { Pressure } from './pressure.js';

/** How often the pressure is looked at while the kernel compacts. */
const lookMs = 1_000;

/** What says whether there is something to gain. */
export interface FreeMemory {
  /** All that is free, in pages of 4 KiB. */
  readonly pages: number;
  /** Pages that can be moved, in free blocks smaller than those that are wanted. */
  readonly scattered: number;
}

/** Makes free memory contiguous from time to time, so that a balloon can give it back to the host in large blocks. */
export class Compactor {
  readonly #proc: string;
  readonly #log: GuestLog;
  readonly #pressure: Pressure;
  #before: FreeMemory = { pages: 0, scattered: 0 };
  #leftOut = 0;

  /** `proc`: `/proc`. */
  constructor(proc: string, log: GuestLog) {
    this.#proc = proc;
    this.#log = log;
    this.#pressure = new Pressure(pressureFiles(proc));
  }

  /** Answers whether it compacted. */
  async round(settings: CompactSettings): Promise<boolean> {
    const calm = this.#pressure.percent() <= settings.periodPressureLimit;
    const forced = settings.forceTimes !== 'max' && this.#leftOut >= settings.forceTimes;
    const worthWhile = forced || isWorthWhile(this.#free(settings), this.#before, settings.threshold);
    if (!calm || !worthWhile) {
      this.#leftOut += 1;
      return false;
    }
    const end = await compact(this.#proc, settings);
    this.#log('debug', 'free memory was compacted', { end });
    this.#before = this.#free(settings);
    this.#leftOut = 0;
    return true;
  }

  #free({ order }: CompactSettings): FreeMemory {
    const read = (name: string): string => readFileSync(join(this.#proc, name), 'utf8');
    const kibibytes = Number(/^MemFree:\s+(\d+) kB$/m.exec(read('meminfo'))?.[1] ?? Number.NaN);
    return { pages: kibibytes / 4, scattered: scatteredPages(read('pagetypeinfo'), order) };
  }
}

/** More lies scattered than after the last compaction left, or much of what was free was taken since. */
export function isWorthWhile(now: FreeMemory, before: FreeMemory, threshold: number): boolean {
  return now.scattered > before.scattered + threshold || before.pages > now.pages + threshold;
}

/** Of /proc/pagetypeinfo: the free blocks of movable pages below an order, in pages. One number an order, from 0. */
export function scatteredPages(text: string, order: number): number {
  const zones = [...text.matchAll(/^Node .*, type +Movable +([\d ]+)$/gm)];
  const counts = zones.map((match) => (match[1] ?? '').trim().split(/ +/).slice(0, order).map(Number));
  return counts
    .flatMap((blocks) => blocks.map((count, index) => count * 2 ** index))
    .reduce((a, b) => a + b, 0);
}

/**
 * Has the kernel compact all memory. It does so in the write(2) of one number, for as long as it likes: so it is a program
 * that writes, which can be killed. Answers how it ended.
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
  const look = setInterval(() => {
    if (pressure.percent() > pressureLimit) stop('there was pressure');
  }, lookMs);
  try {
    writer.stdin.on('error', () => writer.stdin.destroy());
    writer.stdin.end('1');
    const [code]: (number | string | null)[] = await once(writer, 'exit');
    if (code !== 0 && code !== null)
      throw new GuestError('precondition', 'the kernel cannot compact memory (CONFIG_COMPACTION)');
    return end;
  } finally {
    clearTimeout(timer);
    clearInterval(look);
  }
}

function pressureFiles(proc: string): readonly string[] {
  return ['pressure/memory', 'pressure/io'].map((name) => join(proc, name));
}
