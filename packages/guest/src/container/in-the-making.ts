import type { ContainerFacts, CreateContainer } from '../actions.js';
import type { UsedSource } from '../source/other-containers.js';

interface InTheMaking {
  readonly action: CreateContainer;
  /** What its root, its mounts and its storages are made of, as far as it has come. */
  readonly opened: UsedSource[];
}

/**
 * Containers whose making has begun. They are made beside each other, so what is decided by the containers that there are,
 * as limits and rules, counts them: between the decision and the container there is a while.
 */
export class ContainersInTheMaking {
  readonly #making: Map<string, InTheMaking> = new Map();

  get ids(): readonly string[] {
    return [...this.#making.keys()];
  }

  facts(id: string): ContainerFacts | undefined {
    const action = this.#making.get(id)?.action;
    return action === undefined
      ? undefined
      : { state: 'created', annotations: action.spec.annotations ?? {} };
  }

  /** With what they have opened by now. */
  get owners(): readonly { readonly id: string; readonly sources: readonly UsedSource[] }[] {
    return [...this.#making].map(([id, { opened }]) => ({ id, sources: opened }));
  }

  /** Counts it until the task has ended. The task adds each source that it opens. */
  async during<T>(action: CreateContainer, task: (opened: UsedSource[]) => Promise<T>): Promise<T> {
    const opened: UsedSource[] = [];
    this.#making.set(action.id, { action, opened });
    try {
      return await task(opened);
    } finally {
      this.#making.delete(action.id);
    }
  }
}
