import type { ValueSchema } from './value-schema.js';
import { expected, type Reading, type ValueType } from './value-type.js';

/** A list of texts that are checked together. In overrides they are separated by commas. */
export function listOfTexts<T extends string>(form: {
  readonly name: string;
  readonly what: string;
  /** Of an entry. */
  readonly items: ValueSchema;
  readonly fromTexts: (texts: readonly string[]) => Reading<readonly T[]>;
}): ValueType<readonly T[]> {
  const { name, what, items, fromTexts } = form;
  return {
    name,
    schema: { type: 'array', items, uniqueItems: true },
    fromToml(value) {
      if (value.kind !== 'array') return expected(what);
      const texts = value.items.flatMap((item) => (item.kind === 'string' ? [item.value] : []));
      return texts.length === value.items.length ? fromTexts(texts) : expected(what);
    },
    fromText: (text) => fromTexts(text.split(',')),
    write: (value) => `[${value.map((text) => JSON.stringify(text)).join(', ')}]`,
  };
}
