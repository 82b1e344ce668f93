import { CannotApply } from '../cannot-apply.js';
import type { SavedPolicies } from './saved-policies.js';
import type { Log } from '../log.js';
import type { Policy } from './policy.js';

/**
 * Stores the policy of initdata like those of SetPolicy: an agent of the same boot that is started again without the
 * device restricts as much. It is part of this agent's configuration already.
 *
 * @throws CannotApply if it cannot be stored.
 */
export function persistInitdataPolicy(text: string | undefined, policies: SavedPolicies): void {
  if (text === undefined) return;
  try {
    policies.keep(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CannotApply(`the policy of initdata cannot be stored: ${reason}`, { cause: error });
  }
}

/**
 * Applies the policies that SetPolicy or initdata brought to an earlier agent of this boot, before any listener opens.
 *
 * @throws CannotApply if one of them cannot be applied: to continue without it would widen what is served (S4).
 */
export async function restorePolicies(
  { policies }: Pick<SavedPolicies, 'policies'>,
  policy: Policy,
  log: Log,
): Promise<void> {
  if (policies.length === 0) return;
  const { tighten } = await import('./tighten.js');
  for (const text of policies) {
    const refused = await tighten(policy, text);
    if (refused !== undefined)
      throw new CannotApply(`a policy of this boot cannot be applied again: ${refused}`);
  }
  log('info', 'policies of this boot are in force again', { policies: policies.length });
}
