import type { Channel } from '@kata-agent/ttrpc';
import type { GuestFacts } from '../authorization/authorization.js';
import type { GuestAlerts } from './guest-alerts.js';
import type { LiveGuests } from './live-guests.js';
import { isResponsive } from './is-responsive.js';

/** A connected guest that says the configuration of another one. */
interface LiveDuplicate {
  readonly id: string;
  readonly name: string;
}

interface DetectorOptions {
  readonly guests: Pick<LiveGuests, 'held'>;
  readonly alerts: Pick<GuestAlerts, 'duplicate'>;
  /** Returns the connection of a guest; undefined: it is at another replica, or gone. */
  readonly channelOf: (id: string) => Channel | undefined;
  /** How long a guest has to show that it is still there. */
  readonly answerMs: number;
}

/** Finds guests that are possibly copies of one: they have the same configuration, and keys of their own. */
export class DuplicateGuestDetector {
  readonly #options: DetectorOptions;
  /** Guests that are asked whether they are there. */
  readonly #asked = new Set<string>();

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  /** Finds a connected guest with the same configuration and another key, of another entry than the given one. */
  find({ id, configurationDigest }: GuestFacts, entry: string | undefined): LiveDuplicate | undefined {
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

  /** Reports a duplicate that still answers: a guest that was started again comes before its earlier connection is found to be dead. */
  async report(newcomer: string, duplicate: LiveDuplicate): Promise<void> {
    if (this.#asked.has(duplicate.id)) return;
    this.#asked.add(duplicate.id);
    const { alerts, channelOf, answerMs } = this.#options;
    const channel = channelOf(duplicate.id);
    // One at another replica cannot be asked.
    if (channel === undefined || (await isResponsive(channel, answerMs)))
      alerts.duplicate(newcomer, duplicate);
    this.#asked.delete(duplicate.id);
  }
}
