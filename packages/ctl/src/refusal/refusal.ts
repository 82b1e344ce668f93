import type { DescMethod } from '@bufbuild/protobuf';
import { endpoints, isMethodName, type MethodName } from '@kata-agent/catalogue';
import { Code } from '@kata-agent/ttrpc';
import type { CallError } from '../connection/call-error.js';

/**
 * What became of a call that was answered with an error.
 * - `not-served`: the method is not in what the configuration serves to this listener (UNIMPLEMENTED).
 * - `not-built`: this agent has no handler for it, or for something that the request asks for (UNIMPLEMENTED).
 * - `denied`: the method is served; a rule or check refused this very request (PERMISSION_DENIED).
 * - `failed`: anything else.
 */
type FailureKind = 'not-served' | 'not-built' | 'denied' | 'failed';

/** A failed call, explained: JSON-able as it is. */
export interface Refusal {
  readonly kind: FailureKind;
  readonly method: string;
  readonly status: string;
  /** What the agent said, control characters escaped. */
  readonly said: string;
  /** The rule that refused, where the agent names one. */
  readonly rule?: string;
  /** What would have to stand in `allowed_endpoints`: one of these. */
  readonly entries?: readonly string[];
  /** The release that the method came with: `release`, where it is set, must not be earlier. */
  readonly release?: string;
}

export function explainFailure(error: Pick<CallError, 'method' | 'code' | 'status' | 'said'>): Refusal {
  const base = {
    method: callName(error.method),
    status: error.status,
    said: escapeControl(error.said),
  };
  const name = error.method.name;
  if (error.code === Code.Unimplemented) {
    if (!isMethodName(name) || !error.said.startsWith(notServed(name))) return { ...base, kind: 'not-built' };
    return { ...base, kind: 'not-served', entries: entriesFor(name), release: endpoints[name].release };
  }
  if (error.code === Code.PermissionDenied) {
    const rule = /\brule ["']?([A-Za-z0-9_.-]+)["']?/.exec(error.said)?.[1];
    return { ...base, kind: 'denied', ...(rule === undefined ? {} : { rule }) };
  }
  return { ...base, kind: 'failed' };
}

/** The explanation as text, a line each: the first is the headline. */
export function renderRefusal(refusal: Refusal): readonly string[] {
  const { method, status, said } = refusal;
  const more = `for more: kata-agent-ctl endpoints ${method}`;
  switch (refusal.kind) {
    case 'not-served':
      return [
        `${method} was refused: this agent does not serve it here (${status})`,
        `by: ${said.slice(notServed(method).length)}`,
        `to allow it, the guest's configuration needs in [api]: one of ${(refusal.entries ?? []).map(quoted).join(', ')} in allowed_endpoints,`,
        `  none of them in blocked_endpoints, and a release, if one is set, of ${refusal.release ?? ''} or later`,
        more,
      ];
    case 'not-built':
      return [
        `${method}, or something that this request asks for, is not built in this agent (${status})`,
        `the agent says: ${said}`,
        more,
      ];
    case 'denied':
      return [
        `${method} is served, but this request was refused (${status})`,
        refusal.rule === undefined ? 'by: a check of the agent or a rule' : `by: rule "${refusal.rule}"`,
        `the agent says: ${said}`,
        refusal.rule === undefined
          ? "to allow it, change the request, or what the agent's message names in the guest's configuration"
          : `to allow it, change the request, or the [[api.rule]] with name = "${refusal.rule}" in the guest's configuration`,
        more,
      ];
    case 'failed':
      return [`${method} failed: ${status}: ${said}`];
  }
}

/** The method as people type it. */
function callName(method: DescMethod): string {
  return method.parent.name === 'AgentService' ? method.name : `${method.parent.name}.${method.name}`;
}

function entriesFor(name: MethodName): readonly string[] {
  return [name, ...endpoints[name].groups];
}

/** What an agent's refusal starts with; what decided follows. An agent of Kata's own has no such words. */
function notServed(method: string): string {
  return `${method} is not served here: `;
}

const quoted = (text: string): string => `"${text}"`;

/** What an agent says reaches a terminal: it must not be able to move the cursor or set colours. */
function escapeControl(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
