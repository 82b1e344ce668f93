import type { DescMethod } from '@bufbuild/protobuf';
import { endpoints, isManagementMethod, isMethodName, type MethodName } from '@kata-agent/catalogue';
import { Code } from '@kata-agent/ttrpc';
import type { CallError } from '../connection/agent.js';

/**
 * How a call failed.
 * - `not-served`: the configuration does not serve the method to this listener (UNIMPLEMENTED).
 * - `not-built`: this agent has no handler for the method, or for something that the request needs (UNIMPLEMENTED).
 * - `denied`: the method is served; a rule or check denied this request (PERMISSION_DENIED).
 * - `failed`: anything else.
 */
type FailureKind = 'not-served' | 'not-built' | 'denied' | 'failed';

/** An explained failure. Serializable as JSON. */
export interface Refusal {
  readonly kind: FailureKind;
  readonly method: string;
  readonly status: string;
  /** The agent's message, control characters escaped. */
  readonly serverMessage: string;
  /** The rule that denied the call, if the agent names one. */
  readonly rule?: string;
  /** Entries of `allowed_endpoints` that would allow the call; one of them is enough. None for the management service. */
  readonly entries?: readonly string[];
  /** The first release with the method: `release`, if set, must not be earlier. */
  readonly release?: string;
}

export function explainFailure(
  error: Pick<CallError, 'method' | 'code' | 'status' | 'serverMessage'>,
): Refusal {
  const base = {
    method: callName(error.method),
    status: error.status,
    serverMessage: escapeControl(error.serverMessage),
  };
  const name = error.method.name;
  if (error.code === Code.Unimplemented) {
    if (!error.serverMessage.startsWith(notServed(name))) return { ...base, kind: 'not-built' };
    if (isManagementMethod(name)) return { ...base, kind: 'not-served' };
    if (!isMethodName(name)) return { ...base, kind: 'not-built' };
    return { ...base, kind: 'not-served', entries: entriesFor(name), release: endpoints[name].release };
  }
  if (error.code === Code.PermissionDenied) {
    const rule = /\brule ["']?([A-Za-z0-9_.-]+)["']?/.exec(error.serverMessage)?.[1];
    return { ...base, kind: 'denied', ...(rule === undefined ? {} : { rule }) };
  }
  return { ...base, kind: 'failed' };
}

/** Renders the explanation, one line each; the first is the headline. */
export function renderRefusal(refusal: Refusal): readonly string[] {
  const { method, status, serverMessage } = refusal;
  const more = `for more: kata-agent-ctl endpoints ${method}`;
  switch (refusal.kind) {
    case 'not-served':
      return [
        `${method} was denied: this agent does not serve it on this listener (${status})`,
        `by: ${serverMessage.slice(serverMessage.indexOf(': ') + 2)}`,
        ...(refusal.entries === undefined ? inManagement : inLists(refusal.entries, refusal.release)),
        ...(refusal.entries === undefined ? [] : [more]),
      ];
    case 'not-built':
      return [
        `${method}, or something that this request needs, is not built in this agent (${status})`,
        `the agent reports: ${serverMessage}`,
        more,
      ];
    case 'denied':
      return [
        `${method} is served, but this request was denied (${status})`,
        refusal.rule === undefined ? 'by: a check of the agent or a rule' : `by: rule "${refusal.rule}"`,
        `the agent reports: ${serverMessage}`,
        refusal.rule === undefined
          ? "to allow it, change the request, or the setting that the agent's message names"
          : `to allow it, change the request, or the [[api.rule]] with name = "${refusal.rule}" in the guest's configuration`,
        more,
      ];
    case 'failed':
      return [`${method} failed: ${status}: ${serverMessage}`];
  }
}

/** The method as users type it. */
function callName(method: DescMethod): string {
  return method.parent.name === 'AgentService' ? method.name : `${method.parent.name}.${method.name}`;
}

const inManagement: readonly string[] = [
  'to allow it, name it in management of this [[listener]] in the base document, or call another listener',
];

function inLists(entries: readonly string[], release = ''): readonly string[] {
  return [
    `to allow it, set in [api] of the guest's configuration: one of ${entries.map(quoted).join(', ')} in allowed_endpoints,`,
    `  none of them in blocked_endpoints, and release, if set, to ${release} or later`,
  ];
}

function entriesFor(name: MethodName): readonly string[] {
  return [name, ...endpoints[name].groups];
}

/** The start of our agent's message, followed by what decided. Kata's own agent does not send it. */
function notServed(method: string): string {
  return `${method} is not served here: `;
}

const quoted = (text: string): string => `"${text}"`;

/** Escapes control characters: an agent must not be able to move the cursor or set colours. */
function escapeControl(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
