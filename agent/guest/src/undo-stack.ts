/** One step that was done, and its undo. */
interface Step {
  readonly what: string;
  readonly undo: () => void | Promise<void>;
}

/**
 * The undo steps of a creation, run in reverse order: after a failure, or at removal. Every step runs even if an earlier
 * one failed, so that one busy mount does not prevent the others.
 */
export class UndoStack {
  readonly #steps: Step[] = [];

  /** Reports whether no step is left. */
  get empty(): boolean {
    return this.#steps.length === 0;
  }

  /** What was done, first to last. */
  get steps(): readonly string[] {
    return this.#steps.map(({ what }) => what);
  }

  push(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /** Undoes all steps; returns the failures. A second call has nothing to do. */
  async unwind(): Promise<readonly Error[]> {
    const failures: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        failures.push(new Error(`could not undo: ${step.what}: ${reason(error)}`, { cause: error }));
      }
    }
    return failures;
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
