import type { Message } from '@bufbuild/protobuf';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import { GuestError } from '@kata-agent/guest';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code, type HandlerContext, type ServiceImplementation, TtrpcError } from '@kata-agent/ttrpc';
import type { Intents } from '../interceptors/intents.js';
import type { Judge } from '../interceptors/judge.js';
import { refusedInTurn } from '../interceptors/refusal.js';
import type { Caller } from '../listeners/caller.js';
import type { HandlerTable, LocalName, Services } from './handler.js';
import { handlers } from './table.js';

/**
 * The table of handlers as the server takes it: each bound to what it works with. A call that changes something may wait
 * for others. When its turn has come, `judge` is asked again, and what its caller has given up by then is not begun; the
 * guest asks for the record of its intent before it does anything.
 */
export function bind(
  services: Services,
  { judge, intents }: { readonly judge: Judge; readonly intents: Pick<Intents, 'of'> },
): ServiceImplementation<typeof AgentService, Caller> {
  const bound = <M extends LocalName>(name: M): [M, unknown] => {
    const handler = handlers[name];
    const method: string = AgentService.method[name].name;
    if (isMethodName(method) && !endpoints[method].changes)
      return [name, (request: never, context: never) => handler(services, request, context)];
    const inTurn = (request: Message, context: HandlerContext<Caller>) => () => {
      const decision = judge(request, context);
      if (decision.outcome === 'deny') throw refusedInTurn(decision);
      if (isLate(context.signal)) throw begunTooLate(method);
    };
    return [
      name,
      (request: never, context: HandlerContext<Caller>) => {
        const check = inTurn(request, context);
        const guest = services.guest.forCall({
          check,
          begin: intents.of(context),
          get signal() {
            return context.signal;
          },
        });
        return handler({ ...services, guest }, request, context);
      },
    ];
  };
  return Object.fromEntries(
    (Object.keys(handlers) as (keyof HandlerTable)[]).map(bound),
  ) as unknown as ServiceImplementation<typeof AgentService, Caller>;
}

/** A caller who has gone is another matter: what he wanted may be the end of something. */
function isLate({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof TtrpcError && reason.code === Code.DeadlineExceeded;
}

function begunTooLate(method: string): GuestError {
  const text = 'was not begun: the time that its caller gave it was over before its turn came';
  return new GuestError('precondition', `${method} ${text}`);
}
