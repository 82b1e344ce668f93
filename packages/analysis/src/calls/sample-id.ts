import { createHash } from 'node:crypto';

/** An identifier of the form that container engines give, the same each time for the same words. */
export function sampleId(...words: readonly string[]): string {
  return createHash('sha256').update(words.join('\0')).digest('hex');
}
