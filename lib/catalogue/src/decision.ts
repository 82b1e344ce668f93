import type { RefusalCode } from './codes/refusal-codes.js';

/** The decision on a call. It is recorded in the audit log, and rendered in the error of a denied call. */
export type Decision = DecidedCall & (Allowed | Denied);

interface DecidedCall {
  /** As named by the peer. */
  readonly method: string;
  /** The name of the listener that received the call. */
  readonly listener: string;
  /** The rule that decided; absent when the lists did. */
  readonly rule?: string;
  /** Rules that were not evaluated, because the guest does not have the image yet; absent: none. */
  readonly pending?: readonly string[];
  /** The message that the rule's author wrote for denied peers. */
  readonly message?: string;
  /** How a denied read is answered, when the denying rule sets it; otherwise `[api]` decides. */
  readonly onDeniedRead?: 'error' | 'eof';
  /** A description of the cause: `in blocked_endpoints as @exec (config.toml:15)`. */
  readonly reason: string;
}

interface Allowed {
  readonly outcome: 'allow';
  readonly code?: never;
}

interface Denied {
  readonly outcome: 'deny';
  /** The kind of cause; stable, while the reason may change. */
  readonly code: RefusalCode;
}

/** Creates a frozen decision, which can be passed on without copying. */
export function allow(listener: string, method: string, reason: string): Decision {
  return Object.freeze({ outcome: 'allow', method, listener, reason });
}

/** Creates a frozen decision, which can be passed on without copying. */
export function deny(code: RefusalCode, listener: string, method: string, reason: string): Decision {
  return Object.freeze({ outcome: 'deny', code, method, listener, reason });
}
