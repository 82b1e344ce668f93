import { sha256Hex } from './text.js';
import type { DeliveryName } from '../delivery.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** All delivery sources, by their names in `accept`. */
const names: readonly DeliveryName[] = ['initdata', 'fw_cfg', 'kernel_line', 'drop_ins'];
const namesText = `a list of ${names.map((name) => JSON.stringify(name)).join(', ')}`;

function readNames(texts: readonly string[]): Reading<readonly DeliveryName[]> {
  const found: DeliveryName[] = [];
  for (const text of texts) {
    const name = names.find((name) => name === text);
    if (name === undefined) {
      const near = nearest(text, names);
      return expected(namesText, near === undefined ? undefined : `did you mean "${near}"?`);
    }
    if (found.includes(name)) return expected(`${namesText}, each once`, `remove one "${name}"`);
    found.push(name);
  }
  return read(found);
}

/** The delivery sources that a document accepts, in order, each once. */
export const deliveryNames: ValueType<readonly DeliveryName[]> = {
  name: namesText,
  schema: { type: 'array', items: { enum: names }, uniqueItems: true },
  fromToml(value) {
    if (value.kind !== 'array') return expected(namesText);
    const texts: string[] = [];
    for (const item of value.items) {
      if (item.kind !== 'string') return expected(namesText);
      texts.push(item.value);
    }
    return readNames(texts);
  },
  fromText: (text) => readNames(text === '' ? [] : text.split(',')),
  write: (value) => `[${value.map((name) => JSON.stringify(name)).join(', ')}]`,
};

const bindingText = '"host_data", "sha256:" with the 64 hex digits of the document\'s digest, or "none"';

function readBinding(text: string): Reading<string> {
  if (text === 'host_data' || text === 'none' || /^sha256:[0-9a-f]{64}$/.test(text)) return read(text);
  if (/^sha256:[0-9a-fA-F]{64}$/.test(text))
    return expected(bindingText, `write it in lower case: "${text.toLowerCase()}"`);
  if (new RegExp(`^${sha256Hex}$`).test(text)) return expected(bindingText, `did you mean "sha256:${text}"?`);
  const near = nearest(text, ['host_data', 'none']);
  return expected(bindingText, near === undefined ? undefined : `did you mean "${near}"?`);
}

/** How a delivered document is bound. */
export const deliveryBinding: ValueType<string> = {
  name: bindingText,
  schema: { type: 'string', pattern: `^(host_data|none|sha256:${sha256Hex})$` },
  fromToml: (value) => (value.kind === 'string' ? readBinding(value.value) : expected(bindingText)),
  fromText: readBinding,
  write: (value) => JSON.stringify(value),
};
