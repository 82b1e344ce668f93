/** Where the task of a thread is. */
const Stage = { Running: 0, GivenUp: 1, Ended: 2 } as const;

/** Indexes. */
const stage = 0;

const closed = 1;

/** A task for a thread. */
export interface TaskMessage {
  readonly kind: 'task';
  readonly id: number;
  readonly name: string;
  /** Values that `structuredClone` copies. */
  readonly args: unknown;
  /** Duplicates of descriptors, which the thread owns and closes when the task has ended. */
  readonly lent: readonly number[];
  /** At the beginning of memory that is transferred with the message, and returned with the result or error. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A result that nobody waits for any more: the thread releases what it holds. */
interface DiscardMessage {
  readonly kind: 'discard';
  readonly name: string;
  readonly result: unknown;
}

export type MessageToThread = TaskMessage | DiscardMessage;

/** `id`: of the task. */
export type MessageFromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly id: number }
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown; readonly memory: ArrayBuffer }
  | { readonly kind: 'error'; readonly id: number; readonly error: unknown; readonly memory: ArrayBuffer }
  | { readonly kind: 'discarded'; readonly failure: string | undefined };

/**
 * What a thread and its creator know of the thread's task at the same time: messages arrive only between two tasks of a thread. Each
 * side has one of these on the same memory.
 */
export class TaskState {
  readonly memory: SharedArrayBuffer;
  readonly #values: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.memory = memory;
    this.#values = new Int32Array(memory);
  }

  /** Begins a task. For the creator, while the thread has none. */
  begin(): void {
    Atomics.store(this.#values, stage, Stage.Running);
    Atomics.store(this.#values, closed, 0);
  }

  /** Gives the task up, unless it has ended: then its message is on its way. Reports whether it was given up. For the creator. */
  giveUp(): boolean {
    return this.#leave(Stage.GivenUp);
  }

  /** Ends the task, unless it has been given up. Reports whether it has ended. For the thread. */
  end(): boolean {
    return this.#leave(Stage.Ended);
  }

  /** Reports whether the task has been given up. For the thread. */
  get isGivenUp(): boolean {
    return Atomics.load(this.#values, stage) === Stage.GivenUp;
  }

  /** Both sides may do this at the same time: the first one decides. */
  #leave(next: number): boolean {
    const before = Atomics.compareExchange(this.#values, stage, Stage.Running, next);
    return before === Stage.Running || before === next;
  }

  /** Counts a lent descriptor that the thread closes next. */
  closeNext(): void {
    Atomics.add(this.#values, closed, 1);
  }

  /** The number of lent descriptors, in their order, that the thread has closed. */
  get closed(): number {
    return Atomics.load(this.#values, closed);
  }
}
