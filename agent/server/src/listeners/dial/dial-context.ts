import type { TLSSocket } from 'node:tls';
import type { Turns } from '@kata-agent/connection-limits';
import type { AuditLog } from '@kata-agent/audit';
import type { Log } from '../../log.js';
import type { Caller } from '../../caller/caller.js';
import type { ConnectionRecords } from '../connection-records.js';
import type { OwnIdentity } from '../tls/own-identity.js';
import type { Revocations } from '../tls/revocations.js';

/** The parts that all outgoing connections of a listener share. */
export interface DialContext {
  /** The listener. */
  readonly name: string;
  readonly own: Pick<OwnIdentity, 'key' | 'certificate'>;
  readonly revocations: Revocations;
  /** As in `TlsEngineOptions`. */
  readonly turns?: Turns;
  readonly records: Pick<ConnectionRecords, 'begin'>;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly log: Log;
  /** Ends a connection whose sent bytes are not acknowledged for a time: `limitUnacknowledged` of lib/linux. */
  readonly limitUnacknowledged: (stream: TLSSocket, milliseconds: number) => void;
  readonly serve: (stream: TLSSocket, caller: Caller) => void;
}
