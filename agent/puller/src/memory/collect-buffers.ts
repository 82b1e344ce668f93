/** Less often, more memory is resident; more often, the collections take longer than what they save. */
const interval = 2 * 1024 * 1024;

let uncollected = 0;

/**
 * Counts bytes of buffers that are no longer in use, and frees them from time to time. V8 does not until about 30 MB of them are
 * resident. Without `--expose-gc`, with which children are started, does nothing.
 */
export function countUnusedBuffer(bytes: number): void {
  uncollected += bytes;
  if (uncollected < interval) return;
  uncollected = 0;
  // Only those that were made lately: a millisecond.
  globalThis.gc?.({ type: 'minor' });
}
