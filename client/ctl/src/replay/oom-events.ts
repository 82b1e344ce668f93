import { setTimeout as pause } from 'node:timers/promises';
import type { Phase } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { CallError } from '@kata-agent/cli';
import { oomPauseMs, type ReplayedCalls, type Runtime } from './replayed-calls.js';

/** Waits for GetOOMEvent, one call at a time, while the pod exists. */
export class OomEvents {
  readonly #over = new AbortController();
  readonly #reported: string[] = [];
  #taken = 0;
  #waiting: (() => void)[] = [];
  #loop: Promise<void> | undefined;

  /** Containers in the order of their events. */
  get reported(): readonly string[] {
    return this.#reported;
  }

  start(record: ReplayedCalls, phase: Phase, runtime: Runtime): void {
    this.#loop ??= this.#ask(record, phase, runtime);
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#loop;
  }

  /** Returns the container of the next unconsumed event. Rejects if the signal is aborted. */
  async next(signal: AbortSignal): Promise<string> {
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    aborted.catch(() => undefined);
    for (;;) {
      const next = this.#reported[this.#taken];
      if (next !== undefined) {
        this.#taken += 1;
        return next;
      }
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), aborted]);
    }
  }

  async #ask(record: ReplayedCalls, phase: Phase, runtime: Runtime): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        const at = { phase, about: '' };
        const { containerId } = await record.call(at, AgentService.method.getOOMEvent, {}, signal);
        this.#reported.push(containerId);
        for (const tell of this.#waiting.splice(0)) tell();
      } catch (error) {
        if (signal.aborted || (await record.gone())) return;
        if (!(error instanceof CallError)) throw error;
        await pause(oomPauseMs[runtime], undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
