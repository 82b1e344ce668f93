import { codeName, TtrpcError } from '@kata-agent/ttrpc';
import { RemoteRefusedError } from '../bus/bus.js';
import { TooManyRevocations } from '../store/revocations.js';
import { HttpError } from '../http/http-error.js';
import type { OperatorContext } from './operator-context.js';

/** Returns the answer for an error. One that is not meant for operators is reported, and its text stays here. */
export function httpErrorOf(error: unknown, report: OperatorContext['report']): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof RemoteRefusedError) {
    const { status, code, message } = error.refusal;
    return new HttpError(status, code, message);
  }
  if (error instanceof TooManyRevocations)
    return new HttpError(429, 'too_many', `${error.message}: ${error.help}`);
  if (error instanceof TtrpcError)
    return new HttpError(502, 'guest_error', `the guest answered ${codeName(error.code)}: ${error.message}`);
  report('a request of an operator failed', error);
  return new HttpError(500, 'internal', 'the realm failed; its log has the reason');
}
