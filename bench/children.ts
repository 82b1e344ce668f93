import type { ChildProcess } from 'node:child_process';

const running = new Set<ChildProcess>();

/** Registers a started program for `endChildren`, and returns it. */
export function tracked<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Ends programs that an aborted part left running: an agent ends its containers. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGTERM');
}
