import type { AuditLog } from '@kata-agent/audit';
import { endpoints, isManagementMethod, isMethodName } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Admit, Code, type Refusal, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Policy } from '../policy/policy.js';
import type { ManagementGate } from '../management/management-gate.js';
import { healthService, managementService } from '../services/service-names.js';
import { type OnDeniedRead, refusal } from './refusal.js';

/**
 * The gate as the server's admission: runs for every call, by listener and method, before the payload is decoded (S1,
 * S2). Denied calls are recorded here, since later interceptors never see them.
 */
export function admission(options: {
  readonly policy: Policy;
  readonly management: ManagementGate;
  readonly audit: AuditLog;
  readonly onDeniedRead: OnDeniedRead;
  readonly onFailure: Configuration['audit']['onFailure'];
}): Admit<Caller> {
  const { policy, management, audit, onDeniedRead, onFailure } = options;
  return ({ service, method, connection, payload }) => {
    if (service === healthService) return undefined;
    const { listener, peer } = connection;
    const managed = service === managementService && isManagementMethod(method);
    if (!managed && (service !== AgentService.typeName || !isMethodName(method)))
      return unknownMethod(audit, listener, peer, payload);
    const decision = managed ? management(listener, method) : policy.decide(listener, method);
    if (decision.outcome === 'deny') {
      audit.refuse({ listener, peer, method, payload }, decision);
      return refusal(decision, onDeniedRead);
    }
    const ends = isMethodName(method) && endpoints[method].ends === true;
    if (onFailure === 'refuse-all' && !audit.writable && !ends) return { error: auditFailure(audit.failure) };
    return undefined;
  };
}

/** The name of an unknown method is neither recorded nor returned: it can be any string. */
function unknownMethod(audit: AuditLog, listener: string, peer: string, payload: Uint8Array): Refusal {
  const method = '(unknown)';
  audit.refuse(
    { listener, peer, method, payload },
    { outcome: 'deny', code: 'KA3006', method, listener, reason: 'unknown method' },
  );
  return { error: new TtrpcError(Code.Unimplemented, 'the agent has no such service or method') };
}

/** The error of a call that cannot be recorded and is therefore not carried out (S19). */
export function auditFailure(cause: Error | undefined): TtrpcError {
  return new TtrpcError(
    Code.Unavailable,
    `refused because the audit log cannot be written: ${cause?.message ?? 'unknown reason'}`,
    { cause },
  );
}
