import { GuestError, type GuestErrorKind } from '@kata-agent/guest';
import { Code, type ServerInterceptor, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';

/** The maximum length of an error message in a reply. */
const longest = 1_500;

/** The ttRPC code for each kind of failure in the guest (docs/records/kata-facts.md, "What clients look for in errors"). */
const codes: Readonly<Record<GuestErrorKind, Code>> = {
  'not-found': Code.NotFound,
  invalid: Code.InvalidArgument,
  exists: Code.AlreadyExists,
  precondition: Code.FailedPrecondition,
  exhausted: Code.ResourceExhausted,
  refused: Code.PermissionDenied,
  unimplemented: Code.Unimplemented,
  deadline: Code.DeadlineExceeded,
  internal: Code.Internal,
};

/**
 * Converts failures of the guest into statuses. Any other error is a crash of the handler, which the server reports.
 */
export const translateFailures: ServerInterceptor<Caller> = async (request, _context, next) => {
  try {
    return await next(request);
  } catch (error) {
    if (error instanceof GuestError)
      throw new TtrpcError(codes[error.kind], replyMessage(error.message), { cause: error });
    throw error;
  }
};

/**
 * Returns an error's message for a reply, from where it also gets into logs: it can quote values of the request, which
 * can be as long as a frame. Control characters except line feeds are escaped.
 */
export function replyMessage(message: string): string {
  const cut = message.length > longest ? `${message.slice(0, longest)}…` : message;
  return cut.replace(
    /[^\P{Cc}\n]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
