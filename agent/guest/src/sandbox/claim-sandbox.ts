import type { GuestContext } from '../context/guest-context.js';
import { GuestError } from '../error/guest-error.js';

/** Claims Kata's directory for this guest. Throws `precondition`, naming the process, if another agent has it. */
export function claimSandbox({ claim, paths }: Pick<GuestContext, 'claim' | 'paths'>): void {
  const refusal = claim.take(paths.kata);
  if (refusal !== undefined) throw new GuestError('precondition', refusal);
}
