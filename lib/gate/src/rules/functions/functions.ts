import { RuleError } from '../language/compiled.js';
import { checkedInt, checkedUint, type Overload, overload } from './cel-operators.js';

/** A function as listed on the reference page. */
export interface RuleFunction {
  readonly name: string;
  /** Its syntax: `text.startsWith(text)`. */
  readonly form: string;
  readonly doc: string;
  readonly overloads: readonly Overload[];
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** All functions with arguments of fixed types. */
export const ruleFunctions: readonly RuleFunction[] = [
  method('startsWith', 'text.startsWith(start)', 'Whether a text begins with another.', (text, start) =>
    text.startsWith(start),
  ),
  method('endsWith', 'text.endsWith(end)', 'Whether a text ends with another.', (text, end) =>
    text.endsWith(end),
  ),
  method('contains', 'text.contains(part)', 'Whether a text contains another.', (text, part) =>
    text.includes(part),
  ),
  method(
    'within',
    'path.within(directory)',
    'Whether an absolute path is lexically below a directory: a path with `..`, `.` or `//` is never below one. ' +
      'Unlike with `startsWith`, a path cannot leave the directory. Links are not followed.',
    within,
    8,
  ),
  {
    name: 'split',
    form: 'text.split(separator)',
    doc: 'The parts of a text between separators; an empty separator gives its characters.',
    overloads: [
      overload(
        'method',
        'split',
        ['string', 'string'],
        'texts',
        (text, separator) => (separator === '' ? Array.from(text) : text.split(separator)),
        4,
      ),
    ],
  },
  {
    name: 'lowerAscii',
    form: 'text.lowerAscii()',
    doc: 'The text with A to Z in lower case.',
    overloads: [
      overload(
        'method',
        'lowerAscii',
        ['string'],
        'string',
        (text) => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()),
        8,
      ),
    ],
  },
  {
    name: 'size',
    form: 'size(value), value.size()',
    doc: 'Characters of a text, bytes, entries of a list or map.',
    overloads: (['function', 'method'] as const).flatMap((style) => [
      overload(style, 'size', ['string'], 'int', (text) => BigInt(characters(text)), 16),
      overload(style, 'size', ['bytes'], 'int', (bytes) => BigInt(bytes.length)),
    ]),
  },
  {
    name: 'int',
    form: 'int(value)',
    doc: 'A whole number from an unsigned one, or from decimal digits.',
    overloads: [
      overload('function', 'int', ['int'], 'int', (value) => value),
      overload('function', 'int', ['uint'], 'int', checkedInt),
      overload('function', 'int', ['string'], 'int', (text) => checkedInt(decimal(text, /^-?[0-9]{1,20}$/))),
    ],
  },
  {
    name: 'uint',
    form: 'uint(value)',
    doc: 'An unsigned number from a whole one, or from decimal digits.',
    overloads: [
      overload('function', 'uint', ['uint'], 'uint', (value) => value),
      overload('function', 'uint', ['int'], 'uint', checkedUint),
      overload('function', 'uint', ['string'], 'uint', (text) => checkedUint(decimal(text, /^[0-9]{1,20}$/))),
    ],
  },
  {
    name: 'string',
    form: 'string(value)',
    doc: 'A text from a number, a bool, or bytes of UTF-8.',
    overloads: [
      overload('function', 'string', ['string'], 'string', (text) => text),
      overload('function', 'string', ['bool'], 'string', String),
      overload('function', 'string', ['int'], 'string', String),
      overload('function', 'string', ['uint'], 'string', String),
      overload('function', 'string', ['bytes'], 'string', utf8, 16),
    ],
  },
  {
    name: 'bytes',
    form: 'bytes(text)',
    doc: 'The UTF-8 of a text.',
    overloads: [overload('function', 'bytes', ['string'], 'bytes', (text) => encoder.encode(text), 16)],
  },
];

/** A method of a string with a string argument that returns a bool. */
function method(
  name: string,
  form: string,
  doc: string,
  run: (text: string, other: string) => boolean,
  unitsPerStep = 64,
): RuleFunction {
  return {
    name,
    form,
    doc,
    overloads: [overload('method', name, ['string', 'string'], 'bool', run, unitsPerStep)],
  };
}

function within(path: string, directory: string): boolean {
  const base = directory.endsWith('/') ? directory.slice(0, -1) : directory;
  if (!directory.startsWith('/') || !path.startsWith(`${base}/`) || path.includes('\0')) return false;
  // Its components are names: none is empty, `.` or `..`.
  return !path.endsWith('/') && !path.includes('//') && !/\/\.\.?(?:\/|$)/.test(path);
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function decimal(text: string, form: RegExp): bigint {
  if (!form.test(text)) throw new RuleError('a text that is not a decimal number');
  return BigInt(text);
}

function utf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new RuleError('bytes that are not UTF-8', { cause: error });
  }
}
