/**
 * The kinds of failure a caller can act on. The agent's services turn each into one ttRPC code:
 * `not-found` NOT_FOUND, `invalid` INVALID_ARGUMENT, `exists` ALREADY_EXISTS, `precondition`
 * FAILED_PRECONDITION, `exhausted` RESOURCE_EXHAUSTED, `refused` PERMISSION_DENIED, `unimplemented`
 * UNIMPLEMENTED, `deadline` DEADLINE_EXCEEDED, `internal` INTERNAL.
 */
export type GuestErrorKind =
  | 'not-found'
  | 'invalid'
  | 'exists'
  | 'precondition'
  | 'exhausted'
  | 'refused'
  | 'unimplemented'
  | 'deadline'
  | 'internal';

/**
 * The error type of this package's API. The message names the object, the value and, where there is one, the remedy.
 */
export class GuestError extends Error {
  override readonly name = 'GuestError';
  readonly kind: GuestErrorKind;

  constructor(kind: GuestErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
