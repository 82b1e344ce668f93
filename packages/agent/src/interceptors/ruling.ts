import { isMessage, type Message } from '@bufbuild/protobuf';
import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import type { Decision } from '@kata-agent/gate';
import type { Guest } from '@kata-agent/guest';
import { ReadStreamRequestSchema } from '@kata-agent/protocol/agent';
import type { HandlerContext, Refusal, ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Policy } from '../policy.js';
import { readerName, streamOf } from '../readers.js';
import { healthService } from './admission.js';
import { auditedCall } from './audited-call.js';
import type { Decisions } from './decisions.js';
import type { FactsOf } from './facts-of.js';
import type { Judge } from './judge.js';
import { refusal } from './refusal.js';

/**
 * The rules: they follow decoding, and precede the record of an intent and so every effect (R6). A refused call is
 * recorded here, since it goes no further. The lists are asked once more, since a policy may have come in between; and what
 * only reads, and waited while one came, is not answered if that refuses it.
 */
export function ruling(options: {
  readonly policy: Pick<Policy, 'ruled' | 'revision'>;
  readonly judge: Judge;
  readonly guest: Pick<Guest, 'noteReader'>;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly decisions: Decisions;
  readonly factsOf: FactsOf;
  readonly onDeniedRead: Configuration['api']['onDeniedRead'];
}): ServerInterceptor<Caller> {
  const { policy, judge, guest, audit, decisions, factsOf, onDeniedRead } = options;
  return async (request, context, next) => {
    if (context.service === healthService) return next(request);
    const decision = decide(request, context);
    if (decision.outcome === 'deny') return refuse(decision, request, context);
    decisions.add(context, decision);
    const { revision } = policy;
    const reply = await next(request);
    if (policy.revision === revision || !onlyReads(context.method)) return reply;
    const now = judge(request, context);
    return now.outcome === 'allow' ? reply : refuse(now, request, context);
  };

  async function refuse(
    decision: Decision,
    request: Message,
    context: HandlerContext<Caller>,
  ): Promise<Message> {
    audit.refuse({ ...auditedCall(request, context), ...factsOf(context.method, request) }, decision);
    return answer(await refusal(decision, onDeniedRead));
  }

  function decide(request: Message, context: HandlerContext<Caller>): Decision {
    const decision = judge(request, context);
    const { method, connection } = context;
    const stream = streamOf(method);
    const byRule = policy.ruled(method) && (decision.outcome === 'allow' || decision.rule !== undefined);
    if (byRule && stream !== undefined && isMessage(request, ReadStreamRequestSchema)) {
      const { containerId, execId } = request;
      const admitted = decision.outcome === 'allow';
      guest.noteReader({ containerId, execId, stream }, readerName(connection), admitted);
    }
    return decision;
  }
}

/** What a change has done cannot be taken back, and its caller is told; what was read can be kept from him. */
function onlyReads(method: string): boolean {
  return isMethodName(method) && (streamOf(method) !== undefined || !endpoints[method].changes);
}

function answer(refused: Refusal): Message {
  if ('error' in refused) throw refused.error;
  return refused.reply;
}
