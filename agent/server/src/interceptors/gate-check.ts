import type { AuditedCall, AuditLog } from '@kata-agent/audit';
import {
  announcedMethods,
  endpoints,
  isManagementMethod,
  isMethodName,
  type MethodName,
  verbsThatOpen,
} from '@kata-agent/catalogue';
import type { Configuration, ListenerSettings } from '@kata-agent/config';
import { allow, type Decision, deny } from '@kata-agent/gate';
import { AgentService } from '@kata-agent/protocol/agent';
import { Relay } from '@kata-agent/protocol/relay';
import {
  type Admit,
  type CallInfo,
  Code,
  type Refusal,
  type ServerInterceptor,
  TtrpcError,
} from '@kata-agent/ttrpc';
import { type Caller, callerOf, operatorFault } from '../caller.js';
import type { Policy } from '../policy/policy.js';
import type { Readers } from '../readers.js';
import type { Witnesses } from '../witnesses/witnesses.js';
import { decisionKey, healthService, managementService } from './call-values.js';
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

/** Decides which listener may call which method of the management service. Nothing changes it at run time. */
export type ManagementGate = (caller: Pick<Caller, 'listener' | 'rights'>, method: string) => Decision;

/**
 * Returns the gate of a configuration. An unknown listener or method is denied. `management` of a listener is for its peers; where
 * the agent dials a server, for that server alone, and operators have the methods that their verbs open.
 */
export function managementGate(
  listeners: readonly Pick<ListenerSettings, 'name' | 'management'>[],
): ManagementGate {
  const served = new Map(listeners.map(({ name, management }) => [name, new Set<string>(management)]));
  return ({ listener, rights }, method) => {
    const methods = served.get(listener);
    if (methods === undefined || !isManagementMethod(method))
      return deny('KA3006', listener, method, methods === undefined ? 'unknown listener' : 'unknown method');
    if (rights !== undefined) {
      if (rights.management.has(method)) return allow(listener, method, 'in the verbs of the operator');
      const verbs = verbsThatOpen(method).join(' or ');
      const reason = `operators of the listener does not give the verb ${verbs} to this certificate`;
      return deny('KA3009', listener, method, reason);
    }
    return methods.has(method)
      ? allow(listener, method, 'in management of the listener')
      : deny('KA3007', listener, method, `not in management of the listener ${JSON.stringify(listener)}`);
  };
}

/** Notes the decision about a call of the management service, which rules do not concern. */
export function authorizeManagement(gate: ManagementGate): ServerInterceptor<Caller> {
  return (request, { service, method, connection, values }, next) => {
    if (service === managementService) values.set(decisionKey, gate(connection, method));
    return next(request);
  };
}

/**
 * Decides about calls that depend on the connection alone: with `relay = "operator-tls"` a server can ask for connections of
 * operators, and makes no call of AgentService itself; an operator makes calls of AgentService if it has the verb. Undefined: the
 * listener decides.
 */
export function relayDecision(
  { listener, realm, rights }: Pick<Caller, 'listener' | 'realm' | 'rights'>,
  service: string,
  method: string,
): Decision | undefined {
  if (rights?.agent === false && service === AgentService.typeName && isMethodName(method))
    return {
      ...deny(
        'KA3009',
        listener,
        method,
        'operators of the listener does not give the verb connect to this certificate',
      ),
      onDeniedRead: 'error',
    };
  if (realm?.relay !== 'operator-tls') return undefined;
  if (service === Relay.typeName && method === Relay.method.openConnection.name)
    return allow(listener, method, 'the server asks for the connection of an operator');
  if (service !== AgentService.typeName || !isMethodName(method)) return undefined;
  const reason = 'only operators call it, by TLS inside a connection of their own (relay = "operator-tls")';
  // Always an error: an end of file would hide it from the server's operator.
  return { ...deny('KA3008', listener, method, reason), onDeniedRead: 'error' };
}

/** Notes the decision about a call of the relay, which lists and rules do not concern. */
export const authorizeRelay: ServerInterceptor<Caller> = (
  request,
  { service, method, connection, values },
  next,
) => {
  if (service === Relay.typeName) {
    const decision = relayDecision(connection, service, method);
    if (decision !== undefined) values.set(decisionKey, decision);
  }
  return next(request);
};

/** Reports whether a call is refused because witnesses are away (`[audit] required_within`). */
type LacksWitnesses = (listener: string, method: MethodName) => boolean;

/**
 * Returns a function that reports whether a call requires witnesses: those that change something on the host's listener, as while
 * the log cannot be written (S19).
 * The host calls on the first listener, that of the runtime, and controls who connects to vsock and unix sockets. What ends
 * something is served.
 */
export function demandWitnesses(
  listeners: readonly Pick<ListenerSettings, 'name' | 'tls' | 'dial'>[],
  witnesses: Pick<Witnesses, 'isOverdue'> | undefined,
): LacksWitnesses {
  if (witnesses === undefined) return () => false;
  const ofHost = new Set(
    listeners
      .filter(({ tls, dial }, index) => index === 0 || (tls === undefined && dial === undefined))
      .map(({ name }) => name),
  );
  return (listener, method) => {
    const { changes, ends = false } = endpoints[method];
    return changes && !ends && ofHost.has(listener) && witnesses.isOverdue();
  };
}
