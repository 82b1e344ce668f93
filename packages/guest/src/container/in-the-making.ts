import type { ContainerFacts, CreateContainer } from '../actions.js';

/**
 * Containers whose making has begun. They are made beside each other, so what is decided by the containers that there are,
 * as limits and rules, counts them: between the decision and the container there is a while.
 */
export class ContainersInTheMaking {
  readonly #actions: Map<string, CreateContainer> = new Map();

  get ids(): readonly string[] {
    return [...this.#actions.keys()];
  }

  facts(id: string): ContainerFacts | undefined {
    const action = this.#actions.get(id);
    return action === undefined
      ? undefined
      : { state: 'created', annotations: action.spec.annotations ?? {} };
  }

  /** Counts it until the task has ended. */
  async during<T>(action: CreateContainer, task: () => Promise<T>): Promise<T> {
    this.#actions.set(action.id, action);
    try {
      return await task();
    } finally {
      this.#actions.delete(action.id);
    }
  }
}
