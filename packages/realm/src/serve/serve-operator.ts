import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Operator } from '../authorization/operator.js';
import type { Guest, Guests } from '../guests/guest.js';
import type { Decisions } from './decisions.js';
import type { Metrics } from './metrics.js';
import type { RealmLog } from './realm-log.js';
import type { Revocations } from '../store/revocations.js';

/** A request of an authenticated operator: an Upgrade, or another one. */
export type OperatorRequest = {
  readonly request: IncomingMessage;
  /** As the authorization file says now: it may allow less after a reload. */
  readonly operator: Operator;
} & (
  | { readonly kind: 'request'; readonly response: ServerResponse }
  /** `head`: what has arrived after the request. The implementation answers, and closes the socket. */
  | { readonly kind: 'upgrade'; readonly socket: Duplex; readonly head: Buffer }
);

/** What the realm provides for its operators. */
export interface OperatorContext {
  readonly guests: Guests;
  /** Asks a guest for one more connection: see open-connection.ts. */
  readonly openConnection: (guest: Guest, options?: { readonly signal?: AbortSignal }) => Promise<Duplex>;
  /** Yields stored lines of a guest's log, in groups, without newlines. */
  readonly readLog: (
    guest: Guest,
    options: {
      readonly from?: number | undefined;
      readonly follow?: boolean | undefined;
      readonly signal: AbortSignal;
    },
  ) => AsyncIterable<readonly Uint8Array[]>;
  /** Revocations that are said again to each guest of an entry. `add` resolves when one is durable. */
  readonly revocations: Pick<Revocations, 'add' | 'list'>;
  readonly decisions: Decisions;
  readonly metrics: Pick<Metrics, 'add'>;
  readonly log: RealmLog;
  /** Aborted when the realm drains: what lasts as long as its client likes is ended then. */
  readonly draining: AbortSignal;
  /** Calls back after each reload: what is under way may no longer be allowed. Returns a function that stops it. */
  readonly onReload: (callback: () => void) => () => void;
}

/** Serves a request. A rejection is logged, and closes the connection. */
export type ServeOperator = (request: OperatorRequest, context: OperatorContext) => void | Promise<void>;
