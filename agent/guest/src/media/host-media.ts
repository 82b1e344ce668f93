import { type Descriptor, type Task, TaskFailure } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/**
 * What may wait for the host, by name. Each module declares the tasks whose work it has, beside its functions, and `tasks.ts` of
 * media-thread/ runs them. Where a task says that something is lent, the caller lends descriptors, in this order.
 */
// biome-ignore lint/suspicious/noEmptyInterface: modules add their tasks.
export interface MediaTasks {}

type ArgsOf<Each> = Each extends (args: infer Args) => unknown ? Args : never;
type ResultOf<Each> = Each extends (args: never) => infer Result ? Result : never;

/** The code of all tasks. */
export type MediaTaskTable = {
  readonly [Name in keyof MediaTasks]: Task<ArgsOf<MediaTasks[Name]>, ResultOf<MediaTasks[Name]>>;
};

/**
 * Runs what may wait for the host: its share and its disks answer when it wants, and a system call that waits for them holds its
 * thread. So no such call is made on the event loop (S42): each is a task, which runs in another thread, and fails if the host does not
 * answer.
 */
export interface HostMedia {
  /**
   * Runs a task.
   *
   * @param lent descriptors for the task, in the order that it expects.
   * @param bytes content for the task, if it is large. It must not change before the promise is settled.
   * @throws GuestError `deadline`: the host did not answer; `exhausted`: too many earlier calls still wait for it; or what the task
   * throws.
   */
  run<Name extends keyof MediaTasks>(
    name: Name,
    args: ArgsOf<MediaTasks[Name]>,
    lent?: readonly number[],
    bytes?: Uint8Array,
  ): Promise<ResultOf<MediaTasks[Name]>>;
  /** Starts a thread, so that the first task does not wait for it; resolves when it is there. */
  prepare(): Promise<void>;
  /** The number of calls that wait for the host longer than usual. */
  readonly hanging: number;
}

/**
 * Returns the path by which the arguments of a task name what is lent to it: the descriptor that the task has, since the caller may close
 * its own while the task hangs, and another file gets that number.
 */
export function lentPath(index: number): string {
  return `/proc/self/fd/lent-${index}`;
}

/** Returns a text with the paths of `lentPath` replaced by those of descriptors. */
export function withLentPaths(text: string, lent: readonly Descriptor[]): string {
  return text.replaceAll(/\/proc\/self\/fd\/lent-(\d+)/g, (path, index: string) => {
    const descriptor = lent[Number(index)];
    if (descriptor === undefined) throw new Error(`the task was lent nothing for ${path}`);
    return `/proc/self/fd/${descriptor.fd}`;
  });
}

/** Returns when a task that failed by its time limit has ended, in the thread that was left to it; undefined: nothing runs any more. */
export function lateEnd(error: unknown): Promise<void> | undefined {
  const failure = error instanceof GuestError ? error.cause : undefined;
  return failure instanceof TaskFailure ? failure.ended : undefined;
}
