import type { Message } from '@bufbuild/protobuf';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import { GuestError } from '@kata-agent/guest';
import { AgentService } from '@kata-agent/protocol/agent';
import {
  type CallInfo,
  Code,
  type HandlerContext,
  type ServiceImplementation,
  TtrpcError,
} from '@kata-agent/ttrpc';
import { beginOf } from '../interceptors/call-values.js';
import type { Authorize } from '../interceptors/evaluate-rules.js';
import { type HandlerTable, type LocalName, refusedInTurn, type Services } from './handler.js';
import { type Caller, callerKey, callerOf } from '../caller.js';
import { handlers } from './table.js';

/**
 * Returns the table of handlers for the server, each bound to its context. A call that changes something can wait for
 * others. When its turn comes, `authorize` is called again, and a call whose caller gave up is not started; the guest
 * requests the intent record before it does anything.
 */
export function bind(
  services: Services,
  authorize: Authorize,
): ServiceImplementation<typeof AgentService, Caller> {
  const bound = <M extends LocalName>(name: M): [M, unknown] => {
    const handler = handlers[name];
    const method: string = AgentService.method[name].name;
    if (isMethodName(method) && !endpoints[method].changes)
      return [name, (request: never, context: never) => handler(services, request, context)];
    const inTurn = (request: Message, context: HandlerContext<Caller>) => () => {
      const decision = authorize(request, context);
      if (decision.outcome === 'deny') throw refusedInTurn(decision);
      if (isLate(context.signal)) throw begunTooLate(method);
    };
    return [
      name,
      (request: never, context: HandlerContext<Caller>) => {
        const check = inTurn(request, context);
        const guest = services.guest.forCall({
          check,
          begin: beginOf(context),
          get caller() {
            return sharingCaller(context, services.runtimeListener);
          },
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

/** A disconnected caller is not an expired deadline: it may have wanted to end something. */
function isLate({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof TtrpcError && reason.code === Code.DeadlineExceeded;
}

function begunTooLate(method: string): GuestError {
  const text = 'was not started: the deadline of its caller passed before its turn came';
  return new GuestError('precondition', `${method} ${text}`);
}

/**
 * Returns the key by which slots that several callers share are counted. Undefined for Kata's runtime, which calls on the first
 * listener without TLS: it does not share them.
 */
export function sharingCaller(
  call: Pick<CallInfo<Caller>, 'connection' | 'metadata'>,
  runtimeListener: string | undefined,
): string | undefined {
  const caller = callerOf(call);
  const { listener, identity } = caller;
  if (listener === runtimeListener && identity.kind !== 'tls') return undefined;
  // A server whose relay is trusted calls for many operators.
  return JSON.stringify([listener, callerKey(caller), identity.claimedOperator ?? '']);
}
