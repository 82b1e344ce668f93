import type { Bus } from '../bus/bus.js';
import type { GuestConnections } from '../guests/guest-connections.js';
import type { LiveGuests } from '../guests/live-guests.js';
import { openConnection, type Rendezvous } from '../guests/rendezvous.js';
import { type OperatorContext, operatorLimits } from '../operators/operator-context.js';
import { revokesRealm } from '../guests/guest-revocations.js';
import { revokedPeer } from '../http/revocation.js';
import type { Store } from '../store/store.js';
import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../realm-log.js';

interface Parts {
  readonly guests: LiveGuests;
  readonly connections: GuestConnections;
  readonly rendezvous: Rendezvous;
  readonly bus: Bus;
  readonly store: Store;
  readonly decisions: DecisionLog;
  readonly metrics: Metrics;
  readonly log: RealmLog;
  /** Returns the realm's certificate, as PEM. */
  readonly certificate: () => string;
}

/** Returns what a realm provides for the requests of its operators. */
export function operatorContextOf({
  guests,
  connections,
  rendezvous,
  bus,
  store,
  decisions,
  metrics,
  log,
  certificate,
}: Parts): OperatorContext {
  return {
    guests,
    logs: {
      stateOf: (id) => {
        const known = store.logOf(id, guests.own(id) !== undefined);
        if (known === undefined || (known.state === 'not-served' && known.records === 0)) return undefined;
        return known;
      },
      find: (name) => store.find(name),
      readLog: (id, from, follow, signal) => store.read(id, { from, follow, signal }),
    },
    decisions: {
      record: (decision) => {
        const outcome = decision.allowed ? 'allowed' : 'denied';
        if (decision.method !== undefined) metrics.add('kata_realm_calls_total', 1, { outcome });
        decisions.record(decision);
      },
    },
    limits: operatorLimits,
    openConnection: async (guest, certificates) => {
      const stream = await openConnection(rendezvous, guest, { bus: bus, certificates });
      if (stream === undefined) throw new Error('the connection was passed on');
      return stream;
    },
    openConnectionFor: (guest, certificates, { id: pipe }) =>
      openConnection(rendezvous, guest, { bus: bus, certificates, pipe }),
    remote: {
      connect: (guest, certificates, timeoutMs) => bus.connect(guest, certificates, timeoutMs),
      revoke: (guest, certificates, revocation) => bus.revoke(guest, certificates, revokedPeer(revocation)),
    },
    revoke: async ({ id }, revocation, operator) => {
      const revoked = revokedPeer(revocation);
      const { peer, serial, issuer } = revoked;
      const request = { revoked: peer === '' ? `serial ${serial} issuer ${issuer}` : peer };
      const about = `guest ${id}`;
      const end = await decisions.act('operators', about, 'RevokePeer', 'an operator revokes', {
        request,
      });
      try {
        const closed = await connections.revoke(id, revoked, operator.name);
        end('OK');
        return { closed };
      } catch (error) {
        end('FAILED', (error as Error).message);
        throw error;
      }
    },
    isOwn: (revocation) => revokesRealm(revocation, certificate()),
    report: (message, error) =>
      log('error', message, { error: (error as Error | undefined)?.stack ?? String(error) }),
  };
}
