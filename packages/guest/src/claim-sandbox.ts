import type { GuestContext } from './container/guest-context.js';
import { GuestError } from './guest-error.js';

/** Takes Kata's directory for this guest. Throws `precondition`, naming the process, when another agent has it. */
export function claimSandbox({ claim, paths }: Pick<GuestContext, 'claim' | 'paths'>): void {
  const refusal = claim.take(paths.kata);
  if (refusal !== undefined) throw new GuestError('precondition', refusal);
}
