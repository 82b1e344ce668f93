import { contains } from '../paths/clean-path.js';
import type { ContainerStatus, CreateContainer, MountStatus } from '../request/actions.js';
import type { OciMount } from '../request/oci-spec.js';
import type { UsedSource } from '../source/place-owner.js';

interface Pending {
  readonly action: CreateContainer;
  /** The sources of its root, mounts and storages that were opened so far. */
  readonly opened: UsedSource[];
}

/**
 * Containers that are being created. Creation is concurrent and takes a while after admission, so limits and rules that
 * count containers include these.
 */
export class PendingContainers {
  readonly #creating: Map<string, Pending> = new Map();
  readonly #kata: string;

  /** `kata`: Kata's directory. */
  constructor(kata: string) {
    this.#kata = kata;
  }

  get ids(): readonly string[] {
    return [...this.#creating.keys()];
  }

  facts(id: string): ContainerStatus | undefined {
    const action = this.#creating.get(id)?.action;
    if (action === undefined) return undefined;
    const { annotations = {}, mounts = [] } = action.spec;
    return { state: 'created', annotations, mounts: mountsOf(mounts, this.#kata) };
  }

  /** Returns them with their opened sources. */
  get owners(): readonly { readonly id: string; readonly sources: readonly UsedSource[] }[] {
    return [...this.#creating].map(([id, { opened }]) => ({ id, sources: opened }));
  }

  /** Registers a container until the task has ended. The task adds each source that it opens. */
  async during<T>(action: CreateContainer, task: (opened: UsedSource[]) => Promise<T>): Promise<T> {
    const opened: UsedSource[] = [];
    this.#creating.set(action.id, { action, opened });
    try {
      return await task(opened);
    } finally {
      this.#creating.delete(action.id);
    }
  }
}

/**
 * Returns the mounts whose source is in Kata's directory, as the request has them: rules compare them with those of other
 * containers (S38). Pure.
 */
export function mountsOf(mounts: readonly OciMount[], kata: string): readonly MountStatus[] {
  return mounts.flatMap(({ destination, source = '' }) =>
    contains(kata, source) ? [{ destination, source }] : [],
  );
}
