import type { AuditLog } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Admit, Code, type Refusal, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Policy } from '../policy.js';
import { refusal } from './refusal.js';

/** The service that is never gated: it says nothing and changes nothing. */
export const healthService = 'grpc.Health';

/**
 * The gate as the server's admission: runs for every call, by listener and method, before the payload is looked at
 * (S1, S2). A refused call is recorded here, since it goes no further.
 */
export function admission(options: {
  readonly policy: Policy;
  readonly audit: AuditLog;
  readonly onDeniedRead: Configuration['api']['onDeniedRead'];
  readonly onFailure: Configuration['audit']['onFailure'];
}): Admit<Caller> {
  const { policy, audit, onDeniedRead, onFailure } = options;
  return ({ service, method, connection, payload }) => {
    if (service === healthService) return undefined;
    const { listener, peer } = connection;
    if (service !== AgentService.typeName || !isMethodName(method))
      return unknownMethod(audit, listener, peer, payload);
    const decision = policy.decide(listener, method);
    if (decision.outcome === 'deny') {
      audit.refuse({ listener, peer, method, payload }, decision);
      return refusal(decision, onDeniedRead);
    }
    if (onFailure === 'refuse-all' && !audit.writable && endpoints[method].ends !== true)
      return { error: auditFailure(audit.failure) };
    return undefined;
  };
}

/** A name that the API does not have is not repeated, neither in the record nor to the caller: it can be anything. */
function unknownMethod(audit: AuditLog, listener: string, peer: string, payload: Uint8Array): Refusal {
  const method = '(unknown)';
  audit.refuse(
    { listener, peer, method, payload },
    { outcome: 'deny', method, listener, reason: 'unknown method' },
  );
  return { error: new TtrpcError(Code.Unimplemented, 'the agent has no such service or method') };
}

/** The answer to a call that may not be carried out because it cannot be recorded (S19). */
export function auditFailure(cause: Error | undefined): TtrpcError {
  return new TtrpcError(
    Code.Unavailable,
    `refused because the audit log cannot be written: ${cause?.message ?? 'unknown reason'}`,
    { cause },
  );
}
