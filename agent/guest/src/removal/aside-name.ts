import { threadId } from 'node:worker_threads';

/**
 * Prefix of the name that a directory is renamed to if it could not be removed. No container id or storage begins so.
 */
const asidePrefix = '.removed-';

/** A removal that takes longer continues in the background. */
export const momentMs = 20;

let count = 0;

/** Returns a unique name. */
export function asideName(): string {
  count += 1;
  return `${asidePrefix}${process.pid}-${threadId}-${Date.now()}-${count}`;
}

/** Reports whether a name is that of a directory which an earlier agent renamed for removal. */
export function isSetAside(name: string): boolean {
  return name.startsWith(asidePrefix);
}
