import { Code, TtrpcError } from '@kata-agent/ttrpc';

/** Reports whether an error is a guest's answer that too many calls wait in the connection: it is there, and full. */
export function hasTooManyCalls(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.ResourceExhausted;
}
