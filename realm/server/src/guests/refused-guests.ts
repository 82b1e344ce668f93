import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import { rationed, type RealmLog } from '../realm-log.js';
import type { ControlConnection } from './guests-server.js';

/** The longest text of a guest that is logged. */
const longestText = 300;

interface Options {
  readonly decisions: Pick<DecisionLog, 'refuse'>;
  readonly metrics: Metrics;
  readonly log: RealmLog;
}

/** Says which guests were not accepted: in the realm's decisions, its metrics and its log. */
export class RefusedGuests {
  readonly #options: Options;
  readonly #mayLog = rationed(100, 1);

  constructor(options: Options) {
    this.#options = options;
  }

  add(
    { id, from }: Pick<ControlConnection, 'id' | 'from'>,
    cause: string,
    reason: 'authorization' | 'evidence' | 'failure',
  ): void {
    const { decisions, metrics, log } = this.#options;
    const why = briefText(cause);
    metrics.add('kata_realm_guests_refused_total', 1, { reason });
    decisions.refuse('guests', guestText(id), 'KA3301', why);
    // A client can come with a new key each time.
    const omitted = this.#mayLog();
    if (omitted !== undefined) log('warn', 'guest refused', { code: 'KA3301', id, from, why, omitted });
  }
}

/** Returns text that a guest may have chosen, such as an error, without control characters of terminals, on one line and not long. */
export function briefText(text: string): string {
  const plain = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return plain.length > longestText ? `${plain.slice(0, longestText)}…` : plain;
}

/** Returns how a guest is named in records. */
export function guestText(id: string): string {
  return `guest ${id}`;
}
