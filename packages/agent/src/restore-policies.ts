import { CannotApply } from './cannot-apply.js';
import type { KeptPolicies } from './kept-policies.js';
import type { Log } from './log.js';
import type { Policy } from './policy.js';

/**
 * Puts in force again what SetPolicy brought to an earlier agent of this boot, before any listener opens.
 *
 * @throws CannotApply when one of them cannot be: to go on without it would be to loosen (S4).
 */
export async function restorePolicies(
  { policies }: Pick<KeptPolicies, 'policies'>,
  policy: Policy,
  log: Log,
): Promise<void> {
  if (policies.length === 0) return;
  const { tighten } = await import('./tighten.js');
  for (const text of policies) {
    const refused = await tighten(policy, text);
    if (refused !== undefined)
      throw new CannotApply(
        `a policy that SetPolicy brought in this boot cannot be in force again: ${refused}`,
      );
  }
  log('info', 'policies of SetPolicy are in force again', { policies: policies.length });
}
