import { isMessage, type Message } from '@bufbuild/protobuf';
import type { AuditLog } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import type { Decision } from '@kata-agent/gate';
import type { Guest } from '@kata-agent/guest';
import { AgentService, ReadStreamRequestSchema } from '@kata-agent/protocol/agent';
import type { HandlerContext, Refusal, ServerInterceptor } from '@kata-agent/ttrpc';
import { type Caller, callerOf } from '../caller.js';
import type { Policy } from '../policy/policy.js';
import { type GuestStatus, ruleContext } from '../policy/rule-context.js';
import { readerName, streamOf } from '../readers.js';
import { auditedCall, type RecordOf } from './audited-call.js';
import { decisionKey } from './call-values.js';
import { type OnDeniedRead, refusal } from './refusal.js';

/**
 * Evaluates rules, after decoding and before the intent record and any effect (R6). Denied calls are recorded here,
 * since later interceptors never see them. The lists are checked again, since a policy may have arrived meanwhile; and
 * a read that waited while one arrived is not answered if it is now denied.
 */
export function evaluateRules(options: {
  readonly policy: Pick<Policy, 'readsRequests' | 'revision'>;
  readonly authorize: Authorize;
  readonly guest: Pick<Guest, 'noteReader'>;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly recordOf: RecordOf;
  readonly onDeniedRead: OnDeniedRead;
}): ServerInterceptor<Caller> {
  const { policy, authorize, guest, audit, recordOf, onDeniedRead } = options;
  return async (request, context, next) => {
    if (context.service !== AgentService.typeName) return next(request);
    const decision = decide(request, context);
    if (decision.outcome === 'deny') return refuse(decision, request, context);
    context.values.set(decisionKey, decision);
    const { revision } = policy;
    const reply = await next(request);
    if (policy.revision === revision || !onlyReads(context.method)) return reply;
    const now = authorize(request, context);
    return now.outcome === 'allow' ? reply : refuse(now, request, context);
  };

  async function refuse(
    decision: Decision,
    request: Message,
    context: HandlerContext<Caller>,
  ): Promise<Message> {
    audit.refuse({ ...auditedCall(request, context), ...recordOf(context.method, request) }, decision);
    return answer(await refusal(decision, onDeniedRead));
  }

  function decide(request: Message, context: HandlerContext<Caller>): Decision {
    const decision = authorize(request, context);
    const { method } = context;
    const stream = streamOf(method);
    const byRule =
      policy.readsRequests(method) && (decision.outcome === 'allow' || decision.rule !== undefined);
    if (byRule && stream !== undefined && isMessage(request, ReadStreamRequestSchema)) {
      const { containerId, execId } = request;
      const admitted = decision.outcome === 'allow';
      guest.noteReader({ containerId, execId, stream }, readerName(callerOf(context)), admitted);
    }
    return decision;
  }
}

/** A change cannot be undone, and its caller gets the answer; a read can be withheld. */
function onlyReads(method: string): boolean {
  return isMethodName(method) && (streamOf(method) !== undefined || !endpoints[method].changes);
}

function answer(refused: Refusal): Message {
  if ('error' in refused) throw refused.error;
  return refused.reply;
}

/** The current decision of lists and rules about a call. */
export type Authorize = (request: Message, context: HandlerContext<Caller>) => Decision;

/** Authorizes all calls: before a call begins, and again if the call had to wait. */
export function authorizeCalls(policy: Policy, guest: GuestStatus): Authorize {
  return (request, context) =>
    policy.authorize(context.connection.listener, context.method, request, () =>
      ruleContext(request, callerOf(context), guest),
    );
}
