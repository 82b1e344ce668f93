import type { Task } from '@kata-agent/linux';
import type { MediaTasks } from '../media-thread/media-tasks.js';

type TaskArgs<Each> = Each extends Task<infer Args, infer _Result> ? Args : never;
type TaskResult<Each> = Each extends Task<infer _Args, infer Result> ? Result : never;

/**
 * Runs what may wait for the host: its share and its disks answer when it wants, and a system call that waits for them holds its
 * thread. So no such call is made on the event loop (S42): each is a task of `tasks.ts`, which runs in another thread, and fails if the
 * host does not answer.
 */
export interface HostMedia {
  /**
   * Runs a task.
   *
   * @param lent descriptors for the task, in the order that it expects.
   * @throws GuestError `deadline`: the host did not answer; `exhausted`: too many earlier calls still wait for it; or what the task
   * throws.
   */
  run<Name extends keyof MediaTasks>(
    name: Name,
    args: TaskArgs<MediaTasks[Name]>,
    lent?: readonly number[],
  ): Promise<TaskResult<MediaTasks[Name]>>;
  /** Starts a thread, so that the first task does not wait for it; resolves when it is there. */
  prepare(): Promise<void>;
  /** The number of calls that wait for the host longer than usual. */
  readonly hanging: number;
}
