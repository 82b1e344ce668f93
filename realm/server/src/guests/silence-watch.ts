import { heartbeatBounds } from '@kata-agent/config';

/** An agent without another setting has a record in this time at least (`[audit] heartbeat`). */
const defaultHeartbeatMs = 60_000;
const heartbeats = 3;

/** Timers of guests that are away; the oldest are given up. */
const maxAway = 4_096;

export interface SilenceWatchOptions {
  /** No record of a guest has come for so long; or records arrive again. */
  readonly onChange: (id: string, silentMs: number | undefined, isConnected: boolean) => void;
  /** Absent: three heartbeats. */
  readonly heartbeatMs?: number | undefined;
}

interface Watched {
  readonly silence: Silence;
  heartbeatMs: number;
  isConnected: boolean;
}

/** Notices that no record of a guest has come for three heartbeats: from its connection on, and once more after its end. */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  connected(id: string): void {
    const known = this.#watched.get(id);
    if (known === undefined) this.#watch(id, true, this.#options.heartbeatMs ?? defaultHeartbeatMs);
    else known.isConnected = true;
  }

  /** A record has come. `heartbeatMs`: as the guest's boot record says, which can say anything; undefined: it says nothing. */
  heard(id: string, heartbeatMs: number | undefined): void {
    const known = this.#watched.get(id);
    if (known === undefined) return;
    const usual = this.#options.heartbeatMs ?? (isHeartbeat(heartbeatMs) ? heartbeatMs : defaultHeartbeatMs);
    if (known.heartbeatMs === usual) return known.silence.heard();
    // Silence has one time: it begins anew.
    known.silence.heard();
    known.silence.stop();
    this.#watch(id, known.isConnected, usual);
  }

  left(id: string): void {
    const known = this.#watched.get(id);
    if (known === undefined) return;
    known.isConnected = false;
    // A guest that was silent already has been reported.
    this.#watched.delete(id);
    this.#watched.set(id, known);
    const away = [...this.#watched].filter(([, { isConnected }]) => !isConnected);
    const [oldest] = away;
    if (away.length > maxAway && oldest !== undefined) this.#forget(oldest[0]);
  }

  stop(): void {
    for (const { silence } of this.#watched.values()) silence.stop();
    this.#watched.clear();
  }

  #watch(id: string, isConnected: boolean, heartbeatMs: number): void {
    const ms = heartbeats * heartbeatMs;
    const silence = new Silence(ms, (isSilent) => {
      const connected = this.#watched.get(id)?.isConnected === true;
      this.#options.onChange(id, isSilent ? ms : undefined, connected);
      if (isSilent && !connected) this.#forget(id);
    });
    this.#watched.set(id, { silence, heartbeatMs, isConnected });
  }

  #forget(id: string): void {
    this.#watched.get(id)?.silence.stop();
    this.#watched.delete(id);
  }
}

/** Reports whether an agent can have it: silence after less would be one alert for each record, and no timer has much more. */
function isHeartbeat(ms: number | undefined): ms is number {
  return ms !== undefined && ms >= heartbeatBounds.minMs && ms <= heartbeatBounds.maxMs;
}

/** Notices that nothing is heard for a time, by the monotonic clock. */
export class Silence {
  readonly #limitMs: number;
  readonly #onChange: (isSilent: boolean) => void;
  #timer: NodeJS.Timeout;
  #isSilent = false;

  constructor(limitMs: number, onChange: (isSilent: boolean) => void) {
    this.#limitMs = limitMs;
    this.#onChange = onChange;
    this.#timer = this.#start();
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
    if (this.#isSilent) this.#change(false);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => this.#change(true), this.#limitMs);
  }

  #change(isSilent: boolean): void {
    this.#isSilent = isSilent;
    this.#onChange(isSilent);
  }
}
