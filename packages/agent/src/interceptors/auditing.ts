import type { Message } from '@bufbuild/protobuf';
import { type AuditedCall, type AuditLog, AuditUnavailable, type CallResult } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import type { Decision } from '@kata-agent/gate';
import { Code, codeName, type HandlerContext, type ServerInterceptor, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import { auditFailure, healthService } from './admission.js';
import { auditedCall } from './audited-call.js';
import type { Decisions } from './decisions.js';
import type { FactsOf } from './facts-of.js';

/** A request or reply that may move a workload's bytes. */
interface Moving extends Message {
  readonly data?: Uint8Array;
}

/**
 * Records each call that gate and rules let through. One that changes state has its intent on the disk before it begins and
 * its outcome after; all others have one record, after. A change that cannot be recorded is not made (S19).
 */
export function auditing(audit: AuditLog, decisions: Decisions, factsOf: FactsOf): ServerInterceptor<Caller> {
  return async (request: Moving, context, next) => {
    const how = handling(context);
    const call = { ...auditedCall(request, context, how), ...factsOf(context.method, request) };
    const decision = decisions.on(context);
    const begin = performance.now();
    let intent: number | undefined;
    if (how.changes) {
      if (how.folded && !audit.writable) throw auditFailure(audit.failure);
      if (!how.folded) intent = await durableIntent(audit, call, decision);
    }
    const record = (result: CallResult) =>
      intent === undefined ? audit.observe(call, decision, result) : audit.outcome(intent, call, result);
    try {
      const reply = await next(request);
      record({ code: 'OK', durationUs: since(begin), ...moved(request, reply) });
      return reply;
    } catch (error) {
      record({ ...failure(error), durationUs: since(begin) });
      throw error;
    }
  };
}

/** Whether a method changes state, and whether its calls are counted together. Health changes nothing, often. */
function handling({ service, method }: HandlerContext<Caller>): {
  readonly changes: boolean;
  readonly folded: boolean;
} {
  if (service === healthService || !isMethodName(method)) return { changes: false, folded: true };
  const endpoint = endpoints[method];
  return { changes: endpoint.changes, folded: endpoint.fold !== undefined };
}

async function durableIntent(audit: AuditLog, call: AuditedCall, decision: Decision): Promise<number> {
  try {
    return await audit.intent(call, decision);
  } catch (error) {
    if (error instanceof AuditUnavailable) throw auditFailure(error);
    throw error;
  }
}

function since(begin: number): number {
  return Math.round((performance.now() - begin) * 1_000);
}

/** Payload bytes that a call moved, in either direction. */
function moved(request: Moving, reply: Moving): { readonly bytes?: number } {
  const data = reply.data ?? request.data;
  return data === undefined ? {} : { bytes: data.length };
}

function failure(error: unknown): { readonly code: string; readonly message: string } {
  return error instanceof TtrpcError
    ? { code: codeName(error.code), message: error.message }
    : { code: codeName(Code.Internal), message: error instanceof Error ? error.message : String(error) };
}
