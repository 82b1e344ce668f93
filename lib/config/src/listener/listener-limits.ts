import type { LimitSettings } from '../configuration.js';
import type { HandshakeLimits, ListenerLimits } from '../listener.js';
import type { ListenerPlace } from './listener-place.js';
import { limitSettings } from '../settings/limit-settings.js';
import { duration } from '../value-types/duration.js';
import { integer } from '../value-types/integer.js';
import { tableOf } from '../value-types/table-of.js';
import type { ValueType } from '../value-types/value-type.js';

/** The limits that a listener can have of its own. */
export type OwnLimits = ListenerLimits & HandshakeLimits;

/** A limit that a listener can have of its own. */
interface LimitRow {
  readonly key: string;
  readonly type: ValueType<number>;
  readonly default: number;
  /** The key of `[limits]` that applies without it. */
  readonly shared?: keyof LimitSettings;
  /** Where it applies. Absent: wherever callers connect. */
  readonly at?: readonly ListenerPlace[];
}

/** The keys of a listener's `limits`. */
export const listenerLimitRows: { readonly [P in keyof OwnLimits]: LimitRow } = {
  connections: {
    key: limitSettings.connections.key,
    type: limitSettings.connections.type,
    default: limitSettings.connections.default,
    shared: 'connections',
  },
  handshakes: {
    key: 'handshakes',
    type: integer({ min: 1, max: 1024, what: 'a number of handshakes' }),
    default: 8,
    at: ['tls', 'operator-tls'],
  },
  handshakesPerSecond: {
    key: 'handshakes_per_second',
    type: integer({ min: 1, max: 10_000, what: 'a number of handshakes' }),
    default: 20,
    at: ['tls', 'operator-tls'],
  },
  handshakeTimeoutMs: {
    key: 'handshake_timeout',
    type: duration({ minMs: 100, maxMs: 600_000 }),
    default: 30_000,
    at: ['tls', 'operator-tls', 'trusted'],
  },
};

/** The limits of a listener, a table: those that are absent are as in `[limits]`, or have their own default. */
export const listenerLimits: ValueType<Partial<OwnLimits>> = tableOf<OwnLimits>(
  listenerLimitRows,
  'limits = { connections = 16 }',
);

/** Returns the keys of limits that have no effect at a place. A listener with a trusted relay has one connection. */
export function limitsWithoutEffect(place: ListenerPlace, limits: Partial<OwnLimits>): readonly string[] {
  return Object.entries<LimitRow>(listenerLimitRows).flatMap(([property, { key, at }]) => {
    const applies = at === undefined ? place !== 'trusted' : at.includes(place);
    return !applies && limits[property as keyof OwnLimits] !== undefined ? [key] : [];
  });
}
