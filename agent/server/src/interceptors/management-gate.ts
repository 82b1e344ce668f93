import type { ListenerSettings } from '@kata-agent/config';
import { allow, type Decision, deny } from '@kata-agent/gate';
import { isManagementMethod, verbsThatOpen } from '@kata-agent/catalogue';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import { decisionKey } from './decision-of.js';
import type { Caller } from '../caller/caller.js';
import { managementService } from './service-names.js';

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
