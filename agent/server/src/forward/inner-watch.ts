import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '@kata-agent/base';
import { HealthCheckResponse_ServingStatus as Status, Health } from '@kata-agent/protocol/health';
import { createClient } from '@kata-agent/ttrpc';
import type { ConnectionRecords } from '../listeners/connections.js';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { type InnerAgent, InnerFault, type InnerLink } from './inner-agent.js';

/** The name of its connection in audit records, in place of a listener. */
const recordedAs = 'forward';

/** How long the inner agent may take to answer when this agent starts: a guest's services start together. */
const patienceMs = 30_000;
const pauseMs = 50;

/** The time for one answer. */
const checkMs = 5_000;

/** The time until the next attempt, after it was lost. */
const windows = { firstMs: 50, lastMs: 2_000 };

export interface WatchOptions {
  readonly agent: InnerAgent;
  readonly log: Log;
  /** Records when the inner agent was there. */
  readonly records: Pick<ConnectionRecords, 'begin'>;
  /** Throws when the agent is to end. */
  readonly check: () => void;
  /** For tests. */
  readonly patience?: number;
}

/**
 * Watches the inner agent by a connection of its own, which carries no call: its end is logged and recorded, and so is its return.
 * Callers do not depend on it: each call finds out for itself.
 */
export class InnerWatch {
  readonly #options: WatchOptions;
  #link: InnerLink | undefined;
  #stopped = false;

  private constructor(options: WatchOptions) {
    this.#options = options;
  }

  /**
   * Waits until the inner agent answers: a client that can connect to this agent then finds one that works.
   *
   * @throws CannotApply if it does not in time, or if others can reach its socket.
   */
  static async start(options: WatchOptions): Promise<InnerWatch> {
    const watch = new InnerWatch(options);
    const { agent, check, patience = patienceMs } = options;
    const last = performance.now() + patience;
    for (;;) {
      check();
      const error = await watch.#tryToAttach();
      if (error === undefined) return watch;
      const reason = error.message;
      if (error instanceof InnerFault && error.fault.kind === 'exposed')
        throw new CannotApply(`forward = "unix://${agent.path}": ${error.fault.message}`, {
          cause: error,
          help: error.fault.help,
        });
      if (performance.now() >= last)
        throw new CannotApply(
          `forward = "unix://${agent.path}": no answer within ${patience / 1000} s: ${reason}`,
          {
            cause: error,
            help: 'start the inner agent, and make it listen there',
          },
        );
      await delay(pauseMs);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#link?.close();
  }

  /** Returns why it failed; undefined if it did not. */
  async #tryToAttach(): Promise<Error | undefined> {
    try {
      await this.#attach();
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #attach(): Promise<void> {
    const { agent, log, records } = this.#options;
    const { link, peer } = await agent.connect();
    try {
      const { status } = await createClient(Health, link).check({}, { timeoutMs: checkMs });
      if (status !== Status.SERVING) throw new Error(`it answers Check with ${Status[status] ?? status}`);
      const reason = `forward = "unix://${agent.path}"`;
      const name = `pid ${peer.pid} uid ${peer.uid}`;
      const ended = await records.begin({ listener: recordedAs, peer: name }, reason);
      log('info', 'the inner agent answers', { pid: peer.pid, socket: agent.path });
      this.#link = link;
      void link.closed.then(() => {
        ended();
        return this.#lost(peer.pid);
      });
    } catch (error) {
      link.close();
      throw error;
    }
  }

  async #lost(pid: number): Promise<void> {
    const { agent, log } = this.#options;
    if (this.#stopped) return;
    log('error', 'the inner agent is gone: calls are answered with UNAVAILABLE', { pid, socket: agent.path });
    let lastReason = '';
    const backoff = new Backoff(windows);
    for (;;) {
      await delay(backoff.failed(), undefined, { ref: false });
      if (this.#stopped) return;
      const error = await this.#tryToAttach();
      if (error === undefined) {
        if (this.#stopped) this.#link?.close();
        return;
      }
      const reason = error.message;
      if (reason !== lastReason)
        log('warn', 'the inner agent does not answer', { socket: agent.path, reason });
      lastReason = reason;
    }
  }
}
