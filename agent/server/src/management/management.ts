import type { Management } from '@kata-agent/protocol/management';
import type { ServiceImplementation } from '@kata-agent/ttrpc';
import { callerOf } from '../caller/caller-of.js';
import type { Caller } from '../caller/caller.js';
import { attest } from './attest.js';
import { describe } from './describe.js';
import { getCheckpoint } from './get-checkpoint.js';
import type { ManagementContext } from './management-context.js';
import { revokePeer } from './revoke-peer.js';
import { watchAudit } from './watch-audit.js';

/** The management service. The gate has decided before a handler runs. */
export function management(context: ManagementContext): ServiceImplementation<typeof Management, Caller> {
  return {
    describe: async (_request, { connection }) => describe(context, connection),
    watchAudit: (request, call) => watchAudit(context, request, call),
    revokePeer: async (request, call) => revokePeer(context, request, callerOf(call)),
    getCheckpoint: async (request, { connection }) => await getCheckpoint(context, request, connection),
    attest: async (request, { connection }) => await attest(context, request, connection),
  };
}
