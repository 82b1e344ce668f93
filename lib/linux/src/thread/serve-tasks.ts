import { parentPort, workerData } from 'node:worker_threads';
import { Descriptor } from '../fs/descriptor.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import {
  type MessageFromThread,
  type MessageToThread,
  type TaskMessage,
  TaskState,
} from './task-messages.js';

/** What a task works with. */
export interface TaskTools {
  readonly syscalls: Syscalls;
  /** Descriptors that the caller lent, in its order; they are closed when the task has ended. */
  readonly lent: readonly Descriptor[];
  /** Content that the caller passed, while the task runs. */
  readonly bytes: Uint8Array;
  /**
   * Extends the time limit of a step. A task that takes many steps calls it between two of them. Throws if the task has been given up:
   * the host decides how many steps there are, and a task without end would keep its thread.
   */
  readonly progress: () => void;
  /**
   * Called before each step by which a task takes effect: throws if the task has been given up. Its caller has failed then, and a later
   * call may have done the same with newer content. A task that has called it and hangs may still take effect.
   */
  readonly commit: () => void;
  /** The last `commit` of a task that can revert its effect: from here on it cannot be given up, and its caller gets the result. */
  readonly finish: () => void;
}

/** What a task asks before it takes effect, and when it has. */
export type Commitment = Pick<TaskTools, 'commit' | 'finish'>;

/**
 * Work that may wait for the host: synchronous system calls only, since asynchronous file access of Node.js uses threads that the
 * whole process shares.
 */
export interface Task<Args, Result> {
  run(args: Args, tools: TaskTools): Result | Promise<Result>;
  /** Releases what a result holds, such as descriptors and mounts, if nobody takes it. Absent: it holds nothing. */
  discard?(result: Result, syscalls: Syscalls): void;
}

/** A task whose types its name determines. */
export interface AnyTask {
  run(args: never, tools: TaskTools): unknown;
  discard?(result: never, syscalls: Syscalls): void;
}

/** Progress is reported at most so often. */
const progressMilliseconds = 50;

type TaskTable = ReadonlyMap<string, AnyTask>;

/** Runs the tasks that the thread's creator sends. `encode` turns an error into a value that can be sent. */
export function serveTasks<Tasks extends { readonly [Name in keyof Tasks]: AnyTask }>(
  table: Tasks,
  syscalls: Syscalls,
  encode: (error: unknown) => unknown,
): void {
  const tasks: TaskTable = new Map(Object.entries<AnyTask>(table));
  const port = parentPort;
  if (port === null) throw new Error('this module is the program of a thread');
  const state = new TaskState(workerData as SharedArrayBuffer);
  const send = (message: MessageFromThread): void =>
    port.postMessage(message, 'memory' in message ? [message.memory] : []);
  port.on('message', (message: MessageToThread) => {
    if (message.kind === 'task') {
      void perform(message, { tasks, syscalls, encode, send, state }).then(send);
    } else {
      let failure: string | undefined;
      try {
        tasks.get(message.name)?.discard?.(message.result as never, syscalls);
      } catch (error) {
        failure = String(error);
      }
      send({ kind: 'discarded', failure });
    }
  });
  send({ kind: 'ready' });
}

async function perform(
  { id, name, args, lent, bytes }: TaskMessage,
  {
    tasks,
    syscalls,
    encode,
    send,
    state,
  }: {
    readonly tasks: TaskTable;
    readonly syscalls: Syscalls;
    readonly encode: (error: unknown) => unknown;
    readonly send: (message: MessageFromThread) => void;
    readonly state: TaskState;
  },
): Promise<MessageFromThread> {
  const descriptors = lent.map((fd) => new Descriptor(syscalls, fd));
  let sent = 0;
  const progress = (): void => {
    if (state.isGivenUp) throw new Error('the call was given up before it ended');
    // A walk calls it for each file, and the creator's loop takes each message.
    const now = performance.now();
    if (now - sent < progressMilliseconds) return;
    sent = now;
    send({ kind: 'progress', id });
  };
  const commit = (): void => {
    if (state.isGivenUp) throw new Error('the call was given up before it took effect');
  };
  const finish = (): void => {
    if (!state.end()) throw new Error('the call was given up before it ended');
  };
  try {
    const task = tasks.get(name);
    if (task === undefined) throw new Error(`there is no task ${name}`);
    const result: unknown = await task.run(args as never, {
      syscalls,
      lent: descriptors,
      bytes,
      progress,
      commit,
      finish,
    });
    // What is given up from here on is released by its creator.
    state.end();
    return { kind: 'result', id, result, memory: bytes.buffer };
  } catch (error) {
    return { kind: 'error', id, error: encode(error), memory: bytes.buffer };
  } finally {
    for (const each of descriptors) {
      state.closeNext();
      each.close();
    }
  }
}
