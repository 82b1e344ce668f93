import { CannotApply } from '../cannot-apply.js';
import { BootList } from '../state/boot-list.js';

/** The maximum of policies in one boot: a runtime sends one for a pod. */
const maxPolicies = 64;

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
