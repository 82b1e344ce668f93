/** A task for a thread. */
export interface TaskMessage {
  readonly kind: 'task';
  readonly id: number;
  readonly name: string;
  /** Values that `structuredClone` copies. */
  readonly args: unknown;
  /** Duplicates of descriptors, which the thread owns and closes when the task has ended. */
  readonly lent: readonly number[];
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
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: unknown }
  | { readonly kind: 'discarded'; readonly failure: string | undefined };
