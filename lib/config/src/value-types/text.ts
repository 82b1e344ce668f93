import { groups, methodNames } from '@kata-agent/catalogue';
import { printable } from './value-schema.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** A string that `accept` accepts. */
export function text(form: {
  readonly name: string;
  readonly what: string;
  /** For the schema: matches everything that `accept` accepts. */
  readonly pattern: string;
  accept(text: string): boolean;
}): ValueType<string> {
  const fromText = (text: string): Reading<string> => (form.accept(text) ? read(text) : expected(form.what));
  return {
    name: form.name,
    schema: { type: 'string', pattern: form.pattern },
    fromToml: (value) => (value.kind === 'string' ? fromText(value.value) : expected(form.what)),
    fromText,
    write: (value) => JSON.stringify(value),
  };
}

/** An absolute path without `.` and `..`, so that it does not depend on the agent's working directory. */
export const path: ValueType<string> = text({
  name: 'path',
  pattern: `^(/(?!\\.{1,2}(/|$))${printable('/')}+)+$`,
  what: 'an absolute path such as "/run/kata-agent/audit.log"',
  accept: (text) =>
    /^(\/[^/\p{Cc}]+)+$/u.test(text) && !text.split('/').some((part) => part === '.' || part === '..'),
});

export const url: ValueType<string> = text({
  name: 'URL',
  pattern: '^[A-Za-z][A-Za-z0-9+.-]*:\\S+$',
  what: 'a URL such as "http://proxy.example:3128"',
  accept: (text) => URL.canParse(text) && new URL(text).hostname !== '' && !/[\p{Cc}\s]/u.test(text),
});

export const words: ValueType<string> = text({
  name: 'text',
  pattern: `^${printable()}+$`,
  what: 'a text that is not empty, without control characters',
  accept: (text) => text !== '' && !/\p{Cc}/u.test(text),
});

/** A setting that can be absent; its rows have the default `undefined`. */
export function optional<T>(type: ValueType<T>): ValueType<T | undefined> {
  return {
    name: type.name,
    schema: type.schema,
    fromToml: (value) => type.fromToml(value),
    fromText: (text) => type.fromText(text),
    write: (value) => (value === undefined ? '(not set)' : type.write(value)),
  };
}

const listOfTexts = 'a list of texts in quotes';

/** A list of strings. In overrides, entries are separated by commas. */
export const textList: ValueType<readonly string[] | undefined> = {
  name: 'list of texts',
  schema: { type: 'array', items: { type: 'string' } },
  fromToml(value) {
    if (value.kind !== 'array') return expected(listOfTexts);
    const texts: string[] = [];
    for (const item of value.items) {
      if (item.kind !== 'string') return expected(listOfTexts);
      texts.push(item.value);
    }
    return read(texts);
  },
  fromText: (text) => read(text === '' ? [] : text.split(',')),
  write: (value) =>
    value === undefined ? '(not set)' : `[${value.map((text) => JSON.stringify(text)).join(', ')}]`,
};

/**
 * A list of endpoints. Entries of any type are accepted here, and checked where the list is expanded, each with its own
 * error.
 */
export const endpointList: ValueType<readonly string[] | undefined> = {
  ...textList,
  name: 'list of endpoints',
  schema: { type: 'array', items: { enum: ['*', ...groups.keys(), ...methodNames] } },
  fromToml(value) {
    if (value.kind !== 'array') return expected(listOfTexts);
    return read(value.items.flatMap((item) => (item.kind === 'string' ? [item.value] : [])));
  },
};
