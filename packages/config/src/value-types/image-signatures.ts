import type { ImageSignatures } from '../settings/image.js';
import { imagePattern } from './image-names.js';
import { listOf } from './list-of.js';
import { oneOf } from './one-of.js';
import { pemSource } from './pem-source.js';
import { tableOf } from './table-of.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const example =
  '{ scope = "registry.example/**", keys = ["/etc/kata-agent/cosign.pub"], formats = ["bundle"] }';
const what = `a list of tables, [${example}]`;
const entry = tableOf<ImageSignatures>(
  {
    scope: { key: 'scope', type: imagePattern },
    keys: { key: 'keys', type: listOf(pemSource, 'list of paths, or PEM texts') },
    formats: {
      key: 'formats',
      type: listOf(oneOf(['bundle', 'simple-signing']), 'list of formats'),
    },
  },
  example,
  ({ scope, keys = [], formats = [] }) => {
    if (scope === undefined) return 'without scope';
    if (keys.length === 0) return 'without keys';
    return formats.length === 0 ? 'without formats' : undefined;
  },
);

/** Which images need which signatures. */
export const imageSignatures: ValueType<readonly ImageSignatures[]> = {
  name: 'list of tables with scope, keys, formats',
  schema: { type: 'array', items: entry.schema },
  fromToml(value): Reading<readonly ImageSignatures[]> {
    if (value.kind !== 'array') return expected(what);
    const entries: ImageSignatures[] = [];
    for (const item of value.items) {
      const reading = entry.fromToml(item);
      if (!reading.ok) return reading;
      const { scope = '', keys = [], formats = [] } = reading.value;
      entries.push({ scope, keys, formats });
    }
    return read(entries);
  },
  fromText: () => expected(what),
  write: (entries) => `[${entries.map((each) => entry.write(each)).join(', ')}]`,
};
