import type { AuditedCall, AuditLog } from '@kata-agent/audit';
import { announcedMethods, endpoints, isManagementMethod, isMethodName } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { type Decision, deny } from '@kata-agent/gate';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Admit, type CallInfo, Code, type Refusal, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import type { Policy } from '../policy/policy.js';
import type { Readers } from '../readers.js';
import type { ManagementGate } from './management-gate.js';
import { relayDecision } from './relay-gate.js';
import { healthService, managementService } from './service-names.js';
import { callerOf, operatorFault } from '../caller/caller-of.js';
import type { LacksWitnesses } from './demand-witnesses.js';
import { type OnDeniedRead, refusal } from './refusal.js';

/**
 * The gate as the server's admission: runs for every call, by listener and method, before the payload is decoded (S1,
 * S2). Denied calls are recorded here, since later interceptors never see them.
 */
export function gateCheck(options: {
  readonly policy: Policy;
  readonly management: ManagementGate;
  readonly readers: Pick<Readers, 'named'>;
  readonly audit: AuditLog;
  readonly onDeniedRead: OnDeniedRead;
  readonly onFailure: Configuration['audit']['onFailure'];
  readonly lacksWitnesses: LacksWitnesses;
}): Admit<Caller> {
  const { policy, management, readers, audit, onDeniedRead, onFailure, lacksWitnesses } = options;
  const decide = ({ service, method, connection }: CallInfo<Caller>): Decision | undefined => {
    const { listener } = connection;
    const decision = relayDecision(connection, service, method);
    if (decision !== undefined) return decision;
    if (service === managementService && isManagementMethod(method)) return management(connection, method);
    return service === AgentService.typeName && isMethodName(method)
      ? policy.decide(listener, method)
      : undefined;
  };
  return (call) => {
    const { service, method, payload } = call;
    if (service === healthService) return undefined;
    const caller = callerOf(call);
    const { listener, peer } = caller;
    const { claimedOperator } = caller.identity;
    const decision = decide(call);
    if (decision === undefined) {
      const isAnnounced = service === AgentService.typeName && announcedMethods.has(method);
      const named = isAnnounced ? method : undefined;
      return unknownMethod(audit, { listener, peer, claimedOperator, payload }, named);
    }
    if (decision.outcome === 'deny') {
      audit.refuse({ listener, peer, claimedOperator, method, payload }, decision);
      return refusal(decision, onDeniedRead);
    }
    const fault = operatorFault(call);
    if (fault !== undefined) {
      audit.refuse({ listener, peer, method, payload }, deny('KA3201', listener, method, fault));
      return { error: new TtrpcError(Code.InvalidArgument, fault) };
    }
    if (service === AgentService.typeName && isMethodName(method) && lacksWitnesses(listener, method)) {
      audit.refuse(
        { listener, peer, claimedOperator, method, payload },
        deny('KA3104', listener, method, unwitnessed),
      );
      return { error: new TtrpcError(Code.Unavailable, `refused because ${unwitnessed}`) };
    }
    readers.named(call.connection, caller);
    const ends = isMethodName(method) && endpoints[method].ends === true;
    if (onFailure === 'refuse-all' && !audit.writable && !ends) return { error: auditFailure(audit.failure) };
    return undefined;
  };
}

const unwitnessed =
  'no quorum of witnesses has cosigned the audit log within required_within; it is served again when the witnesses answer (KA3104)';

/**
 * The name of an unknown method is neither recorded nor returned: it can be any string.
 *
 * @param announced the name, if it is in the catalogue's list of announced methods.
 */
function unknownMethod(
  audit: AuditLog,
  call: Omit<AuditedCall, 'method'>,
  announced: string | undefined,
): Refusal {
  const method = announced ?? '(unknown)';
  const reason = announced === undefined ? 'unknown method' : 'announced for Kata Containers, and not served';
  audit.refuse({ ...call, method }, deny('KA3006', call.listener, method, reason));
  const message =
    announced === undefined
      ? 'the agent has no such service or method'
      : `${announced} is not served here: it is announced, and no release of Kata Containers has it (kata-agent-ctl endpoints ${announced})`;
  return { error: new TtrpcError(Code.Unimplemented, message) };
}

/** The error of a call that cannot be recorded and is therefore not carried out (S19). */
export function auditFailure(cause: Error | undefined): TtrpcError {
  return new TtrpcError(
    Code.Unavailable,
    `refused because the audit log cannot be written: ${cause?.message ?? 'unknown reason'}`,
    { cause },
  );
}
