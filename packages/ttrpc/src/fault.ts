/**
 * Something to be logged: a peer that broke the protocol, a request that was admitted but could not be decoded or was over
 * a limit, or code of the server's owner that failed.
 */
export interface Fault<C> {
  readonly kind: 'protocol' | 'request' | 'handler' | 'admit';
  readonly message: string;
  readonly connection: C;
  /** Of the call, when the fault belongs to one. */
  readonly service?: string;
  readonly method?: string;
  /** What was thrown. */
  readonly error?: unknown;
}

/** Calls the owner's reporter. If that fails itself, Node prints a warning: a log must not end the server. */
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
