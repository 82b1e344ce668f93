import { nearest } from '../diagnostics/nearest.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** One of several exact words; `synonyms` maps additional words to them. */
export function oneOf<W extends string>(
  words: readonly W[],
  synonyms: ReadonlyMap<string, W> = new Map(),
): ValueType<W> {
  const what = inWords(words);
  const fromText = (text: string): Reading<W> => {
    const value = words.find((word) => word === text) ?? synonyms.get(text);
    if (value !== undefined) return read(value);
    const near = nearest(text, [...words, ...synonyms.keys()]);
    return expected(what, near === undefined ? undefined : `did you mean "${near}"?`);
  };
  return {
    name: what,
    schema: { enum: [...words, ...synonyms.keys()] },
    fromToml: (value) => (value.kind === 'string' ? fromText(value.value) : expected(what)),
    fromText,
    write: (value) => JSON.stringify(value),
  };
}

function inWords(words: readonly string[]): string {
  const quoted = words.map((word) => JSON.stringify(word));
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}
