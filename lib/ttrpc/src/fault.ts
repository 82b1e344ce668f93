/**
 * An event to log: a protocol violation of a peer, an admitted request that could not be decoded or exceeded a limit,
 * or an error thrown by the server owner's code.
 */
export interface Fault<C> {
  readonly kind: 'protocol' | 'request' | 'handler' | 'admit';
  readonly message: string;
  readonly connection: C;
  /** Set when the fault belongs to a call. */
  readonly service?: string;
  readonly method?: string;
  /** The value that was thrown. */
  readonly error?: unknown;
}

/** Wraps the owner's reporter. If the reporter throws, Node.js prints a warning: logging must not end the server. */
export function reporter<C>(onFault: ((fault: Fault<C>) => void) | undefined): (fault: Fault<C>) => void {
  if (onFault === undefined) return () => undefined;
  return (fault) => {
    try {
      onFault(fault);
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error(String(error)));
    }
  };
}
