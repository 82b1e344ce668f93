import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { SavedPolicies } from './saved-policies.js';
import type { Policy } from './policy.js';

/**
 * Narrows what is served by the text of SetPolicy (S4), in this agent and in later agents of this boot.
 *
 * @param narrowed is called before the text is stored.
 * @throws TtrpcError if it is refused: nothing has changed then.
 */
export async function acceptPolicy(
  text: string,
  policy: Policy,
  savedPolicies: Pick<SavedPolicies, 'full' | 'keep'>,
  narrowed: () => void,
): Promise<void> {
  if (savedPolicies.full)
    throw new TtrpcError(Code.ResourceExhausted, 'too many SetPolicy calls: no more policies can be stored');
  // With the parser of its text, which an agent without a configuration has not loaded.
  const { tighten } = await import('./tighten.js');
  const refused = await tighten(policy, text);
  if (refused !== undefined) throw new TtrpcError(Code.InvalidArgument, refused);
  narrowed();
  savedPolicies.keep(text);
}
