import { createHash } from 'node:crypto';

/** Returns an ID in the form of container engines, deterministic for the same words. */
export function sampleId(...words: readonly string[]): string {
  return createHash('sha256').update(words.join('\0')).digest('hex');
}
