import { closeSync, openSync } from 'node:fs';
import { loadNamespaceCalls, type NamespaceCalls, type ThreadNamespace } from './namespace-calls.js';

/**
 * Runs a task while this thread is in another IPC or UTS namespace. The task is synchronous: nothing else of this process
 * runs meanwhile, and libuv's threads stay where they are. Should the thread not come back, the process ends.
 *
 * @param namespace a descriptor of `/proc/PID/ns/TYPE`.
 */
export function visitNamespace<Result>(
  type: ThreadNamespace,
  namespace: number,
  task: () => Result,
  calls: NamespaceCalls = loadNamespaceCalls(),
): Result {
  const own = openSync(`/proc/thread-self/ns/${type}`, 'r');
  try {
    calls.setNamespace(namespace, type);
    try {
      return task();
    } finally {
      comeBack(calls, own, type);
    }
  } finally {
    closeSync(own);
  }
}

function comeBack(calls: NamespaceCalls, own: number, type: ThreadNamespace): void {
  try {
    calls.setNamespace(own, type);
  } catch (error) {
    process.stderr.write(`the ${type} namespace of a container cannot be left: ${String(error)}\n`);
    process.abort();
  }
}
