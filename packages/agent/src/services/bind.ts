import type { ServiceImplementation } from '@kata-agent/ttrpc';
import type { AgentService } from '@kata-agent/protocol/agent';
import type { Caller } from '../listeners/caller.js';
import type { HandlerTable, LocalName, Services } from './handler.js';
import { handlers } from './table.js';

/** The table of handlers as the server takes it: each bound to what it works with. */
export function bind(services: Services): ServiceImplementation<typeof AgentService, Caller> {
  const bound = <M extends LocalName>(name: M): [M, unknown] => {
    const handler = handlers[name];
    return [name, (request: never, context: never) => handler(services, request, context)];
  };
  return Object.fromEntries(
    (Object.keys(handlers) as (keyof HandlerTable)[]).map(bound),
  ) as unknown as ServiceImplementation<typeof AgentService, Caller>;
}
