import type { TLSSocket } from 'node:tls';
import type { Turns } from '@kata-agent/connection-limits';
import type { AuditLog } from '@kata-agent/audit';
import { onDoublings } from '@kata-agent/base';
import type { CallerSettings, PeerList } from '@kata-agent/config';
import { type Certificate, parsePeerEntries, subjectWord } from '@kata-agent/x509';
import type { Log } from '../../log.js';
import type { Caller, OperatorRights } from '../../caller.js';
import { recordConnectionRefusal } from '../connections.js';
import type { TlsRefusalReason } from './authenticate.js';
import { channelBinding, type OwnIdentity, type TlsIdentity } from './tls-identity.js';
import type { Revocations } from './revocations.js';
import { createTlsEngine, type TlsEngine } from './tls-engine.js';

export interface CallersOptions {
  /** The listener. */
  readonly name: string;
  readonly peers: readonly PeerList[];
  readonly callers: CallerSettings;
  readonly own: Pick<OwnIdentity, 'key' | 'certificate'>;
  readonly revocations: Revocations;
  /** As in `TlsEngineOptions`. */
  readonly turns?: Turns;
  /** How all connections come, in records: `via https realm.example`. Absent: each from its address. */
  readonly via?: string;
  /** What a caller may do, by its certificate. Absent: the lists of the listener decide alone. */
  readonly rightsOf?: (certificate: Certificate) => OperatorRights;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly serve: (stream: TLSSocket, caller: Caller) => void;
}

/**
 * Creates the engine that authenticates the callers of a listener, and records those that it refuses. Throws a TlsSettingError
 * if a certificate or CRL is not valid.
 */
export function createCallersEngine(options: CallersOptions): TlsEngine {
  const { name, peers, callers, own, revocations, turns, via, rightsOf, log, audit, serve } = options;
  const refusals = new RefusalLog(name, log);
  const withVia = (text: string): string => (via === undefined ? text : `${text} ${via}`);
  return createTlsEngine({
    clientCa: [callers.clientCa],
    ...(callers.clientCrl === undefined ? {} : { clientCrl: [callers.clientCrl] }),
    own,
    peers: peers.map(parsePeerEntries),
    revocations,
    limits: callers.limits,
    ...(turns === undefined ? {} : { turns }),
    // At the floor or later, if the guest's kernel is the agent's own: startup/clock-floor.ts.
    now: Date.now,
    onPeer: (stream, peer) =>
      serve(stream, {
        listener: name,
        peer: withVia(peerText(peer.identity)),
        identity: peer.identity,
        ...(rightsOf === undefined ? {} : { rights: rightsOf(peer.certificate) }),
        exporter: () => channelBinding(stream),
      }),
    onRefusal: ({ reason, remote, text, peer }) => {
      // Without the port, which the client chooses, so that equal refusals are counted.
      const from = peer === undefined ? `tls ${remote}` : withVia(peerText(peer));
      refusals.add(reason, text, from);
      recordConnectionRefusal(audit, { listener: name, peer: from }, 'KA3203', text);
    },
    onEnd: (peer, why) =>
      log('info', `closed a connection whose certificate is ${why}`, {
        listener: name,
        peer: withVia(peerText(peer.identity)),
      }),
  });
}

/**
 * The peer in records: the certificate, and its names. The fingerprint is first, so that a long name cuts off no part of it,
 * and no name can pass for one. Each name is one word.
 */
function peerText({
  fingerprint,
  subject,
  sans = [],
}: Pick<TlsIdentity, 'fingerprint' | 'subject'> & Partial<TlsIdentity>): string {
  return ['tls', fingerprint, ...sans, subjectWord(subject)].filter((part) => part !== '').join(' ');
}

/**
 * Logs why TLS connections were closed before they were served, as the audit log has it: the first of each reason, and then each doubling.
 * A flood for one reason hides no other.
 */
export class RefusalLog {
  readonly #listener: string;
  readonly #log: Log;
  readonly #reports = new Map<TlsRefusalReason, (why: string, peer: string) => void>();

  constructor(listener: string, log: Log) {
    this.#listener = listener;
    this.#log = log;
  }

  /** `why`: the text of the reason, without what the client chose. */
  add(reason: TlsRefusalReason, why: string, peer: string): void {
    const report = this.#reports.get(reason) ?? this.#reporter(reason);
    this.#reports.set(reason, report);
    report(why, peer);
  }

  #reporter(reason: TlsRefusalReason): (why: string, peer: string) => void {
    let last = '';
    const report = onDoublings<string>((times, peer) =>
      this.#log('warn', 'closed a TLS connection before it was served', {
        code: 'KA3203',
        listener: this.#listener,
        reason,
        why: last,
        peer,
        times,
      }),
    );
    return (why, peer) => {
      last = why;
      report(peer);
    };
  }
}
