import { closeSync, openSync } from 'node:fs';
import type { ThreadNamespace } from '../syscalls/namespace-calls.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/**
 * Runs a task with this thread in another IPC, UTS or network namespace. The task is synchronous: no other code of this process
 * runs meanwhile, and libuv's threads are not affected. If the thread cannot return, the process exits.
 *
 * @param namespace a descriptor of a namespace, such as `/proc/PID/ns/TYPE`.
 */
export function visitNamespace<Result>(
  syscalls: Syscalls,
  type: ThreadNamespace,
  namespace: number,
  task: () => Result,
): Result {
  const own = openSync(`/proc/thread-self/ns/${type}`, 'r');
  try {
    syscalls.setNamespace(namespace, type);
    try {
      return task();
    } finally {
      comeBack(syscalls, own, type);
    }
  } finally {
    closeSync(own);
  }
}

function comeBack(syscalls: Syscalls, own: number, type: ThreadNamespace): void {
  try {
    syscalls.setNamespace(own, type);
  } catch (error) {
    process.stderr.write(`cannot leave the ${type} namespace of a container: ${String(error)}\n`);
    process.abort();
  }
}
