/** One thing that was done, and how to take it back. */
interface Step {
  readonly what: string;
  readonly undo: () => void | Promise<void>;
}

/**
 * What was done so far, to be taken back in reverse order: after a failure half-way, or when the thing that was made
 * ends. Every step is tried even when one before it failed, so that one stuck mount does not keep the rest.
 */
export class UndoStack {
  readonly #steps: Step[] = [];

  /** Nothing is left to take back. */
  get empty(): boolean {
    return this.#steps.length === 0;
  }

  push(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /** Takes everything back; the failures, one for each step that could not be. A second call has nothing to do. */
  async unwind(): Promise<readonly Error[]> {
    const failures: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        failures.push(new Error(`could not take back: ${step.what}: ${reason(error)}`, { cause: error }));
      }
    }
    return failures;
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
