import type { ImageSignatures } from '../settings/image.js';
import { imagePattern } from './image-names.js';
import { listOf } from './list-of.js';
import { oneOf } from './one-of.js';
import { pemSource } from './pem-source.js';
import { tableOf } from './table-of.js';
import { text } from './text.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const example =
  '{ scope = "registry.example/**", keys = ["/etc/kata-agent/cosign.pub"], formats = ["bundle"] }';
const what = `a list of tables, [${example}]`;
const digestPattern = '^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$';
const digest: ValueType<string> = text({
  name: 'digest of an image',
  pattern: digestPattern,
  what: '"sha256:" with 64 hexadecimal digits in lower case, or "sha512:" with 128',
  accept: (value) => new RegExp(digestPattern).test(value),
});
const entry = tableOf<ImageSignatures>(
  {
    scope: { key: 'scope', type: imagePattern },
    keys: { key: 'keys', type: listOf(pemSource, 'list of paths, or PEM texts') },
    formats: {
      key: 'formats',
      type: listOf(oneOf(['bundle', 'simple-signing']), 'list of formats'),
    },
    digests: { key: 'digests', type: listOf(digest, 'list of digests') },
  },
  example,
  ({ scope, keys = [], formats = [], digests }) => {
    if (scope === undefined) return 'without scope';
    if (digests !== undefined) {
      if (keys.length > 0 || formats.length > 0) return 'with digests and keys: write two entries';
      return digests.length === 0 ? 'without digests' : undefined;
    }
    if (keys.length === 0) return 'without keys';
    return formats.length === 0 ? 'without formats' : undefined;
  },
);

/** Which images need which signatures. */
export const imageSignatures: ValueType<readonly ImageSignatures[]> = {
  name: 'list of tables with scope, keys, formats or scope, digests',
  schema: { type: 'array', items: entry.schema },
  fromToml(value): Reading<readonly ImageSignatures[]> {
    if (value.kind !== 'array') return expected(what);
    const entries: ImageSignatures[] = [];
    for (const item of value.items) {
      const reading = entry.fromToml(item);
      if (!reading.ok) return reading;
      const { scope = '', keys = [], formats = [], digests } = reading.value;
      entries.push({ scope, keys, formats, ...(digests === undefined ? {} : { digests }) });
    }
    return read(entries);
  },
  fromText: () => expected(what),
  write(entries) {
    const written = entries.map(({ scope, digests, ...signed }) =>
      entry.write(digests === undefined ? { scope, ...signed } : { scope, digests }),
    );
    return `[${written.join(', ')}]`;
  },
};
