import { setTimeout as pause } from 'node:timers/promises';
import type { Phase } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { CallError } from '../connection/call-error.js';
import type { CallRecord } from './call-record.js';
import { oomPauseMs, type Runtime } from './runtime.js';

/** Asks for events of containers that ran out of memory, one call at a time, as long as the pod is there. */
export class OomEvents {
  readonly #over = new AbortController();
  readonly #told: string[] = [];
  #taken = 0;
  #waiting: (() => void)[] = [];
  #loop: Promise<void> | undefined;

  /** Containers in the order of their events. */
  get told(): readonly string[] {
    return this.#told;
  }

  start(record: CallRecord, phase: Phase, runtime: Runtime): void {
    this.#loop ??= this.#ask(record, phase, runtime);
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#loop;
  }

  /** The container of the next event that nobody took. Rejects when the signal is aborted. */
  async next(signal: AbortSignal): Promise<string> {
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    aborted.catch(() => undefined);
    for (;;) {
      const next = this.#told[this.#taken];
      if (next !== undefined) {
        this.#taken += 1;
        return next;
      }
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), aborted]);
    }
  }

  async #ask(record: CallRecord, phase: Phase, runtime: Runtime): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        const at = { phase, about: '' };
        const { containerId } = await record.call(at, AgentService.method.getOOMEvent, {}, signal);
        this.#told.push(containerId);
        for (const tell of this.#waiting.splice(0)) tell();
      } catch (error) {
        if (signal.aborted || (await record.gone())) return;
        if (!(error instanceof CallError)) throw error;
        await pause(oomPauseMs[runtime], undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
