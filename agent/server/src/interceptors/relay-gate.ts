import { isMethodName } from '@kata-agent/catalogue';
import { allow, type Decision, deny } from '@kata-agent/gate';
import { AgentService } from '@kata-agent/protocol/agent';
import { Relay } from '@kata-agent/protocol/relay';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import { decisionKey } from './decision-of.js';
import type { Caller } from '../caller/caller.js';

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
