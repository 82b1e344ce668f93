import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { Backend } from '../backend/backend.js';
import type { Connections } from '../listeners/connections.js';
import type { Revocations } from '../listeners/tls/revocations.js';
import type { Attester } from '../evidence/attester.js';
import type { Policy } from '../policy/policy.js';
import type { Log } from '../log.js';
import type { ManagementGate } from '../interceptors/gate-check.js';
import type { OneAtATime, Watchers } from './call-limits.js';
import type { Witnesses } from '../witnesses/witnesses.js';

/** The context of the management handlers. */
export interface ManagementContext {
  readonly configuration: Configuration;
  /** Has decided before a handler runs. */
  readonly gate: ManagementGate;
  readonly bootId: string;
  readonly policy: Pick<Policy, 'served'>;
  readonly backend: Pick<Backend, 'containers'>;
  readonly audit: Pick<AuditLog, 'writable' | 'checkpoint' | 'proveSince'>;
  /** Of the audit log. */
  readonly proofs: OneAtATime;
  /** Undefined: the log has none. */
  readonly witnesses: Pick<Witnesses, 'cosigned'> | undefined;
  readonly connections: Connections;
  readonly watchers: Watchers;
  /** Undefined: there is no `tls://` or `https://` listener. */
  readonly revocations: Pick<Revocations, 'add' | 'serverNamed'> | undefined;
  /** Undefined: there is no source of evidence. */
  readonly attester: Pick<Attester, 'attest'> | undefined;
  readonly log: Log;
  /** Aborted when the agent ends: watchers get the last records, and their calls end. */
  readonly ending: AbortSignal;
}
