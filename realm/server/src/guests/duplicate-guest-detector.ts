import type { Channel } from '@kata-agent/ttrpc';
import type { GuestFacts } from '../authorization/authorization.js';
import type { GuestAlerts } from './guest-alerts.js';
import type { LiveGuests } from './live-guests.js';
import { isResponsive } from './is-responsive.js';

/** A connected guest that says the configuration of another one. */
interface Twin {
  readonly id: string;
  readonly name: string;
}

interface TwinsOptions {
  readonly guests: Pick<LiveGuests, 'held'>;
  readonly alerts: Pick<GuestAlerts, 'twin'>;
  /** Returns the connection of a guest; undefined: it is at another replica, or gone. */
  readonly channelOf: (id: string) => Channel | undefined;
  /** How long a guest has to show that it is still there. */
  readonly answerMs: number;
}

/** Finds guests that are possibly copies of one: they have the same configuration, and keys of their own. */
export class DuplicateGuestDetector {
  readonly #options: TwinsOptions;
  /** Guests that are asked whether they are there. */
  readonly #asked = new Set<string>();

  constructor(options: TwinsOptions) {
    this.#options = options;
  }

  /** Finds a connected guest with the same configuration and another key, of another entry than the given one. */
  find({ id, configurationDigest }: GuestFacts, entry: string | undefined): Twin | undefined {
    if (configurationDigest === undefined) return undefined;
    return this.#options.guests
      .held()
      .find(
        (other) =>
          other.id !== id &&
          other.entry !== entry &&
          other.described?.configurationDigest === configurationDigest,
      );
  }

  /** Reports a twin that still answers: a guest that was started again comes before its earlier connection is found to be dead. */
  async report(newcomer: string, twin: Twin): Promise<void> {
    if (this.#asked.has(twin.id)) return;
    this.#asked.add(twin.id);
    const { alerts, channelOf, answerMs } = this.#options;
    const channel = channelOf(twin.id);
    // One at another replica cannot be asked.
    if (channel === undefined || (await isResponsive(channel, answerMs))) alerts.twin(newcomer, twin);
    this.#asked.delete(twin.id);
  }
}
