import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { Guest } from '@kata-agent/guest';
import type { Management } from '@kata-agent/protocol/management';
import type { ServiceImplementation } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Connections } from '../listeners/connections.js';
import type { Policy } from '../policy/policy.js';
import type { Log } from '../startup/log.js';
import { describe } from './describe.js';
import { watchAudit } from './watch-audit.js';

/** The context of the management handlers. */
export interface ManagementContext {
  readonly configuration: Configuration;
  readonly bootId: string;
  readonly policy: Pick<Policy, 'served'>;
  readonly guest: Pick<Guest, 'containers'>;
  readonly audit: Pick<AuditLog, 'writable'>;
  readonly connections: Connections;
  readonly log: Log;
  /** Aborted when the agent ends: watchers get the last records, and their calls end. */
  readonly ending: AbortSignal;
}

/** The management service. The gate has decided before a handler runs. */
export function management(context: ManagementContext): ServiceImplementation<typeof Management, Caller> {
  return {
    describe: async (_request, { connection }) => describe(context, connection),
    watchAudit: (request, call) => watchAudit(context, request, call),
  };
}
