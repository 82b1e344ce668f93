import type { ListenerSettings } from '@kata-agent/config';
import { allow, type Decision, deny } from '@kata-agent/gate';
import { isManagementMethod } from '@kata-agent/catalogue';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import { decisionKey } from '../interceptors/decision-of.js';
import type { Caller } from '../listeners/caller.js';
import { managementService } from '../services/service-names.js';

/** Decides which listener may call which method of the management service. Nothing changes it at run time. */
export type ManagementGate = (listener: string, method: string) => Decision;

/** Returns the gate of a configuration. An unknown listener or method is denied. */
export function managementGate(
  listeners: readonly Pick<ListenerSettings, 'name' | 'management'>[],
): ManagementGate {
  const served = new Map(listeners.map(({ name, management }) => [name, new Set<string>(management)]));
  return (listener, method) => {
    const methods = served.get(listener);
    if (methods === undefined || !isManagementMethod(method))
      return deny('KA3006', listener, method, methods === undefined ? 'unknown listener' : 'unknown method');
    return methods.has(method)
      ? allow(listener, method, 'in management of the listener')
      : deny('KA3007', listener, method, `not in management of the listener ${JSON.stringify(listener)}`);
  };
}

/** Notes the decision about a call of the management service, which rules do not concern. */
export function authorizeManagement(gate: ManagementGate): ServerInterceptor<Caller> {
  return (request, { service, method, connection, values }, next) => {
    if (service === managementService) values.set(decisionKey, gate(connection.listener, method));
    return next(request);
  };
}
