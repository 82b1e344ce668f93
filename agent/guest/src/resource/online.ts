import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import { readIfThere } from '@kata-agent/base';
import type { UeventListener, UeventReceiver } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';
import { parseCpuList } from '../spec/resources.js';

/** How long a plugged CPU may take to come online, and the interval of the checks. */
const waitMs = 5_000;
const pollMs = 50;

/** The request of OnlineCPUMem. */
export interface OnlineRequest {
  /** Total number of CPUs that must be online; 0: all that are present. */
  readonly cpus: number;
  readonly cpuOnly: boolean;
}

interface OnlineContext {
  readonly media: HostMedia;
  /** `/sys`. */
  readonly sys: string;
}

/**
 * Brings plugged CPUs and memory blocks online: in threads, since the host can delay that.
 *
 * @throws GuestError `exhausted` when the kernel cannot have so many CPUs, or they do not come online in time
 */
export async function bringOnline(
  { cpus, cpuOnly }: OnlineRequest,
  { media, sys }: OnlineContext,
  timing: { readonly waitMs: number; readonly pollMs: number } = { waitMs, pollMs },
): Promise<void> {
  checkPossibleCpus(cpus, sys);
  const start = performance.now();
  for (;;) {
    const max = cpus === 0 ? Infinity : cpus - onlineCpus(sys).length;
    await media.run('switchOnAll', { kind: 'cpu', max, sys });
    const now = onlineCpus(sys).length;
    if (cpus === 0 || now >= cpus) break;
    if (performance.now() - start >= timing.waitMs) {
      throw new GuestError(
        'exhausted',
        `${cpus} CPUs were requested, and ${now} are online after ${timing.waitMs / 1000} seconds`,
      );
    }
    await delay(timing.pollMs);
  }
  if (!cpuOnly) await bringMemoryOnline({ media, sys });
}

/** Brings all memory blocks that are present online. */
export function bringMemoryOnline({ media, sys }: OnlineContext): Promise<void> {
  return media.run('switchOnAll', { kind: 'memory', max: Infinity, sys });
}

/** Fails at once for more CPUs than the kernel can ever have: a wait would delay all other changes. */
function checkPossibleCpus(cpus: number, sys: string): void {
  const file = join(sys, 'devices/system/cpu/possible');
  const text = readIfThere(file)?.toString();
  const possible = text === undefined ? Infinity : parseCpuList(text).length;
  if (cpus > possible)
    throw new GuestError(
      'exhausted',
      `${cpus} CPUs were requested, and the kernel can have ${possible} (${file})`,
    );
}

/** Returns the numbers of the online CPUs. */
export function onlineCpus(sys: string): readonly number[] {
  return parseCpuList(readFileSync(join(sys, 'devices/system/cpu/online'), 'utf8'));
}

interface MemoryWatchOptions {
  /** `/sys`. */
  readonly sys: string;
  readonly media: HostMedia;
  readonly listen: (to: UeventReceiver) => UeventListener;
  readonly log: GuestLog;
}

/**
 * Brings memory blocks online as their uevents arrive. The host calls OnlineCPUMem right after it has plugged memory, while
 * the kernel is still adding blocks: listing the blocks at that moment would miss some (Kata 4.1, src/agent/src/uevent.rs).
 */
export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #listener: UeventListener | undefined;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { listen, media, sys } = this.#options;
    if (this.#listener !== undefined) return;
    try {
      this.#listener = listen({
        event: ({ action, devicePath }) => {
          if (action !== 'add' || !/^\/devices\/system\/memory\/memory\d+$/.test(devicePath)) return;
          this.#orWarn(media.run('switchOn', { file: join(sys, devicePath, 'online') }));
        },
        lost: () => this.#orWarn(bringMemoryOnline({ media, sys })),
        fault: (error) => this.#warn(error),
      });
    } catch (error) {
      this.#warn(error);
    }
  }

  stop(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  #orWarn(action: Promise<unknown>): void {
    action.catch((error: unknown) => this.#warn(error));
  }

  #warn(error: unknown): void {
    this.#options.log(
      'warn',
      `plugged memory may stay offline until the host calls OnlineCPUMem: ${String(error)}`,
    );
  }
}

/** Adds memory at these physical addresses, on machines whose firmware does not announce plugged memory. `sys`: `/sys`. */
export function probeMemory(addresses: readonly bigint[], sys: string): void {
  // As with Kata's agent: without addresses the kernel needs no support.
  if (addresses.length === 0) return;
  const probe = join(sys, 'devices/system/memory/probe');
  if (!existsSync(probe)) {
    throw new GuestError(
      'precondition',
      `memory cannot be added by address: this kernel has no ${probe}; help: use a kernel with CONFIG_ARCH_MEMORY_PROBE`,
    );
  }
  for (const address of addresses) writeFileSync(probe, `0x${address.toString(16)}`);
}
