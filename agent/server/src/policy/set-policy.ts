import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { BootList } from '../state/boot-list.js';
import type { Policy } from './policy.js';

/** The maximum of policies in one boot: a runtime sends one for a pod. */
const maxPolicies = 64;

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

/**
 * Stores the texts of SetPolicy, and the policy of initdata, in the agent's state directory: if the agent is killed, containers keep running, and
 * what was denied to their host must stay denied (S4, S20). They are not needed after a reboot.
 */
export class SavedPolicies {
  readonly #list: BootList;
  #policies: readonly string[];

  private constructor(list: BootList, policies: readonly string[]) {
    this.#list = list;
    this.#policies = policies;
  }

  /** @throws CannotApply if the file is invalid. */
  static open(file: string, bootId: string): SavedPolicies {
    const list = new BootList(file, bootId, 'policies');
    try {
      return new SavedPolicies(list, list.read());
    } catch (error) {
      throw unreadable(file, error);
    }
  }

  /** In the order of arrival. */
  get policies(): readonly string[] {
    return this.#policies;
  }

  get full(): boolean {
    return this.#policies.length >= maxPolicies;
  }

  /** Stores one more. Throws errors of the file system: the next agent would not know the policy. */
  keep(policy: string): void {
    if (this.#policies.includes(policy)) return;
    const policies = [...this.#policies, policy];
    this.#list.write(policies);
    this.#policies = policies;
  }
}

function unreadable(file: string, cause: unknown): CannotApply {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CannotApply(`${file}: cannot read the policies of SetPolicy: ${reason}: start the guest again`, {
    cause,
  });
}
