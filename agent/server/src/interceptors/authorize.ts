import type { Message } from '@bufbuild/protobuf';
import type { Decision } from '@kata-agent/gate';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import type { Policy } from '../policy/policy.js';
import { callerOf } from '../caller/caller-of.js';
import { type GuestStatus, ruleContext } from '../policy/rule-context.js';

/** The current decision of lists and rules about a call. */
export type Authorize = (request: Message, context: HandlerContext<Caller>) => Decision;

/** Authorizes all calls: before a call begins, and again if the call had to wait. */
export function authorizeCalls(policy: Policy, guest: GuestStatus): Authorize {
  return (request, context) =>
    policy.authorize(context.connection.listener, context.method, request, () =>
      ruleContext(request, callerOf(context), guest),
    );
}
