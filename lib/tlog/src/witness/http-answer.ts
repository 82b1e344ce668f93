import type { AddCheckpointDecision } from './decide-add-checkpoint.js';

/** An answer of HTTP. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Returns the answer to an add-checkpoint request (C2SP tlog-witness of 2026-07-22, "add-checkpoint"). */
export function addCheckpointAnswer(decision: AddCheckpointDecision): HttpAnswer {
  const text = 'text/plain; charset=utf-8';
  const { status } = decision;
  if (status === 200) return { status, contentType: text, body: decision.cosignature };
  if (status === 409) return { status, contentType: 'text/x.tlog.size', body: `${decision.size}\n` };
  return { status, contentType: text, body: `${decision.reason}\n` };
}
