import { isMessage, type Message } from '@bufbuild/protobuf';
import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { Decision } from '@kata-agent/gate';
import type { Guest } from '@kata-agent/guest';
import { ReadStreamRequestSchema } from '@kata-agent/protocol/agent';
import type { HandlerContext, Refusal, ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Policy } from '../policy.js';
import { readerName, streamOf } from '../readers.js';
import { ruleContext } from '../rule-context.js';
import { healthService } from './admission.js';
import { auditedCall } from './audited-call.js';
import type { Decisions } from './decisions.js';
import type { FactsOf } from './facts-of.js';
import { refusal } from './refusal.js';

/**
 * The rules: they follow decoding, and precede the record of an intent and so every effect (R6). A refused call is
 * recorded here, since it goes no further. The lists are asked once more, since a policy may have come in between.
 */
export function ruling(options: {
  readonly policy: Policy;
  readonly guest: Pick<Guest, 'containerFacts' | 'sandboxFacts' | 'noteReader'>;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly decisions: Decisions;
  readonly factsOf: FactsOf;
  readonly onDeniedRead: Configuration['api']['onDeniedRead'];
}): ServerInterceptor<Caller> {
  const { policy, guest, audit, decisions, factsOf, onDeniedRead } = options;
  return async (request, context, next) => {
    if (context.service === healthService) return next(request);
    const decision = decide(request, context);
    if (decision.outcome === 'allow') {
      decisions.add(context, decision);
      return next(request);
    }
    const facts = factsOf(context.method, request);
    audit.refuse({ ...auditedCall(request, context), ...facts }, decision);
    return answer(await refusal(decision, onDeniedRead));
  };

  function decide(request: Message, { method, connection }: HandlerContext<Caller>): Decision {
    const listed = policy.decide(connection.listener, method);
    if (listed.outcome === 'deny' || !policy.ruled(method)) return listed;
    const decision = policy.judge(listed, request, ruleContext(request, connection, guest));
    const stream = streamOf(method);
    if (stream !== undefined && isMessage(request, ReadStreamRequestSchema)) {
      const { containerId, execId } = request;
      const admitted = decision.outcome === 'allow';
      guest.noteReader({ containerId, execId, stream }, readerName(connection), admitted);
    }
    return decision;
  }
}

function answer(refused: Refusal): Message {
  if ('error' in refused) throw refused.error;
  return refused.reply;
}
