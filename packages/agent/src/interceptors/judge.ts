import type { Message } from '@bufbuild/protobuf';
import type { Decision } from '@kata-agent/gate';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Policy } from '../policy.js';
import { type GuestFacts, ruleContext } from '../rule-context.js';

/** What lists and rules say of a call as things are now. */
export type Judge = (request: Message, context: HandlerContext<Caller>) => Decision;

/** The judge of all calls. It is asked before a call begins, and again when it had to wait. */
export function judge(policy: Policy, guest: GuestFacts): Judge {
  return (request, { method, connection }) => {
    const listed = policy.decide(connection.listener, method);
    if (listed.outcome === 'deny' || !policy.ruled(method)) return listed;
    return policy.judge(listed, request, ruleContext(request, connection, guest));
  };
}
