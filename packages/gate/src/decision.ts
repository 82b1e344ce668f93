/** What was decided about a call. The audit log stores it, and the answer to a refused caller renders it. */
export interface Decision {
  readonly outcome: 'allow' | 'deny';
  /** As the caller named it. */
  readonly method: string;
  /** The name of the listener that the call came through. */
  readonly listener: string;
  /** The rule that decided; absent when the lists did. */
  readonly rule?: string;
  /** The message that the rule's author wrote for the refused caller. */
  readonly message?: string;
  /** What a refused read is answered, when the rule that refused it says so; absent: what `[api]` says. */
  readonly onDeniedRead?: 'error' | 'eof';
  /** For people: `in blocked_endpoints as @exec (config.toml:15)`. */
  readonly reason: string;
}

/** A frozen decision, so that those who get it can pass it on without copying. */
export function decision(
  outcome: Decision['outcome'],
  listener: string,
  method: string,
  reason: string,
): Decision {
  return Object.freeze({ outcome, method, listener, reason });
}
