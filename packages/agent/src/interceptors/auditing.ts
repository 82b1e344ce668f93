import type { Message } from '@bufbuild/protobuf';
import {
  type AuditedCall,
  type AuditLog,
  AuditUnavailable,
  type CallResult,
  type Subject,
} from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import type { Decision } from '@kata-agent/gate';
import { Code, codeName, type HandlerContext, type ServerInterceptor, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Policy } from '../policy.js';
import { auditFailure, healthService } from './admission.js';

/** The parts of a request or reply that are recorded. Each member is there only in the messages that have it. */
interface Recorded extends Message {
  readonly containerId?: string;
  readonly execId?: string;
  readonly data?: Uint8Array;
  readonly process?: { readonly Args: readonly string[] };
  readonly OCI?: { readonly Process?: { readonly Args: readonly string[] } };
}

/**
 * Records each call that the gate let through. One that changes state has its intent on the disk before it begins and
 * its outcome after; all others have one record, after. A change that cannot be recorded is not made (S19).
 */
export function auditing(audit: AuditLog, policy: Policy): ServerInterceptor<Caller> {
  return async (request: Recorded, context, next) => {
    const how = handling(context);
    const call = auditedCall(request, context, how.folded);
    const decision = decisionOn(policy, context);
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

function decisionOn(policy: Policy, { service, method, connection }: HandlerContext<Caller>): Decision {
  return service === healthService
    ? { outcome: 'allow', method, listener: connection.listener, reason: 'Health is always served' }
    : policy.decide(connection.listener, method);
}

function auditedCall(request: Recorded, context: HandlerContext<Caller>, folded: boolean): AuditedCall {
  const { method, payload, connection } = context;
  const subject = subjectOf(request);
  const { listener, peer } = connection;
  const call = { listener, peer, method, payload };
  const fold = folded ? { fold: `${method} ${subject?.containerId ?? ''}/${subject?.execId ?? ''}` } : {};
  return { ...call, ...fold, ...(subject === undefined ? {} : { subject }) };
}

/** What a call is about. Of a program only its name: arguments and environment may be secret (S18). */
function subjectOf(request: Recorded): Subject | undefined {
  if (request.containerId === undefined) return undefined;
  const argv0 = request.process?.Args[0] ?? request.OCI?.Process?.Args[0];
  return {
    containerId: request.containerId,
    ...(request.execId === undefined ? {} : { execId: request.execId }),
    ...(argv0 === undefined ? {} : { argv0 }),
  };
}

function since(begin: number): number {
  return Math.round((performance.now() - begin) * 1_000);
}

/** Payload bytes that a call moved, in either direction. */
function moved(request: Recorded, reply: Recorded): { readonly bytes?: number } {
  const data = reply.data ?? request.data;
  return data === undefined ? {} : { bytes: data.length };
}

function failure(error: unknown): { readonly code: string; readonly message: string } {
  return error instanceof TtrpcError
    ? { code: codeName(error.code), message: error.message }
    : { code: codeName(Code.Internal), message: error instanceof Error ? error.message : String(error) };
}
