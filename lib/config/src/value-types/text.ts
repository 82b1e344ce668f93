import { groups, methodNames } from '@kata-agent/catalogue';
import { expected, printable, read, type Reading, type ValueType } from './value-type.js';

/** A string that `accept` accepts. */
export function text(form: {
  readonly name: string;
  /** What is expected, or what of this text is not. */
  readonly what: string | ((text: string) => string);
  /** For the schema: matches everything that `accept` accepts. */
  readonly pattern: string;
  accept(text: string): boolean;
}): ValueType<string> {
  const whatOf = (text: string): string => (typeof form.what === 'string' ? form.what : form.what(text));
  const fromText = (text: string): Reading<string> =>
    form.accept(text) ? read(text) : expected(whatOf(text));
  return {
    name: form.name,
    schema: { type: 'string', pattern: form.pattern },
    fromToml: (value) => (value.kind === 'string' ? fromText(value.value) : expected(whatOf(''))),
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

/** A regular expression for the hexadecimal digits of a SHA-256 digest. */
export const sha256Hex = '[0-9a-f]{64}';

/** The name of a rule or a listener, as used in records and messages. */
export const entryName: ValueType<string> = text({
  name: 'name',
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
  what: 'a name of ASCII letters, digits, "_", "." and "-", at most 64, the first a letter or a digit',
  accept: (text) => /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text),
});

/** The text of a rule. The gate's checker, which knows CEL, checks it. */
export const expressionText: ValueType<string> = text({
  name: 'CEL expression',
  pattern: '\\S',
  what: 'an expression in CEL',
  accept: (text) => text.trim() !== '',
});

/** The message for a denied peer: one line. */
export const messageText: ValueType<string> = text({
  name: 'text',
  pattern: `^${printable()}{1,500}$`,
  what: 'a text of one line, at most 500 characters',
  accept: (text) => text.trim() !== '' && text.length <= 500 && !/\p{Cc}/u.test(text),
});

const expectedRelease = 'a release of Kata Containers such as "3.21" or "3.21.0", from "2.0" on';

function releaseOf(text: string): Reading<string> {
  const match = /^(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})(\.(0|[1-9]\d{0,3}))?$/.exec(text);
  return match !== null && Number(match[1]) >= 2 ? read(text) : expected(expectedRelease);
}

/** A release of Kata Containers. 2.0.0 was the first with this API. */
export const release: ValueType<string> = {
  name: 'release',
  schema: {
    type: 'string',
    pattern: '^([2-9]|[1-9]\\d{1,3})\\.(0|[1-9]\\d{0,3})(\\.(0|[1-9]\\d{0,3}))?$',
  },
  fromToml(value) {
    if (value.kind === 'string') return releaseOf(value.value);
    // 3.20 and 3.2 are the same number but different releases.
    return expected(
      expectedRelease,
      value.kind === 'float' ? `write it in quotes: release = "${value.text}"` : undefined,
    );
  },
  fromText: releaseOf,
  write: (value) => JSON.stringify(value),
};
