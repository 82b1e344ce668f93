import { expected, type Reading, read, type ValueType } from './value-type.js';

const what = 'a release of Kata Containers such as "3.21" or "3.21.0", from "2.0" on';

function fromText(text: string): Reading<string> {
  const match = /^(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})(\.(0|[1-9]\d{0,3}))?$/.exec(text);
  return match !== null && Number(match[1]) >= 2 ? read(text) : expected(what);
}

/** A release of Kata Containers. 2.0.0 was the first with this API. */
export const release: ValueType<string> = {
  name: 'release',
  schema: {
    type: 'string',
    pattern: '^([2-9]|[1-9]\\d{1,3})\\.(0|[1-9]\\d{0,3})(\\.(0|[1-9]\\d{0,3}))?$',
  },
  fromToml(value) {
    if (value.kind === 'string') return fromText(value.value);
    // 3.20 and 3.2 are the same number but different releases.
    return expected(
      what,
      value.kind === 'float' ? `write it in quotes: release = "${value.text}"` : undefined,
    );
  },
  fromText,
  write: (value) => JSON.stringify(value),
};
