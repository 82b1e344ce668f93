import type { Descriptor } from '@kata-agent/linux';

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
