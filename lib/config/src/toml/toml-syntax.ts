import type { ParseError } from 'toml-eslint-parser';
import type { Diagnostic, SourceText } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { characterName } from '../diagnostics/misspelled-name.js';

interface Wording {
  /** The code, unless it is malformed TOML (KA1003). */
  readonly code?: Diagnostic['code'];
  readonly message: string;
  readonly help: string;
}

// Rewords the parser's messages, which are its only indication of the kind of error.
const wordings: ReadonlyMap<string, Wording> = new Map([
  [
    'Unterminated string constant',
    { message: 'this text has no closing quote', help: 'close it on the same line' },
  ],
  [
    'Unterminated table-key',
    { message: 'this section name has no closing bracket', help: 'write it as [name]' },
  ],
  ['Unterminated array', { message: 'this list has no closing bracket', help: 'close it with ]' }],
  ['Unterminated inline table', { message: 'this table has no closing brace', help: 'close it with }' }],
  ['Empty bare keys are not allowed', { message: 'a key is missing here', help: 'write key = value' }],
  [
    'Must be a newline',
    { message: 'this must be on a separate line', help: 'write one key = value per line' },
  ],
  ['Expected equal (=) token', { message: 'there is no = after this key', help: 'write key = value' }],
  ['Unspecified values are invalid', { message: 'a value is missing here', help: 'write key = value' }],
  [
    'Expected comma (,) token',
    { message: 'a comma is missing here', help: 'put a comma between the entries' },
  ],
  [
    'Defining a key multiple times is invalid',
    { code: 'KA1004', message: 'this key or section is defined a second time', help: 'keep one of the two' },
  ],
  [
    'Control characters (codes < 0x1f and 0x7f) are not allowed',
    {
      message: 'there is a control character here',
      help: 'remove it, or write it as \\uXXXX in a quoted text',
    },
  ],
  [
    'The key, equals sign, and value must be on the same line',
    { message: 'the value is not on the line of its key', help: 'write key = value in one line' },
  ],
  [
    'No newlines are allowed between the curly braces unless they are valid within a value',
    { message: 'a table in braces must be on one line', help: 'use a [section] for a longer one' },
  ],
  [
    'Leading zeros are not allowed',
    { message: 'a number begins with 0', help: 'leave the leading zeros out' },
  ],
]);

const aValue = 'a text is in quotes, true and false are lower-case, a list is in [ ]';

/** Converts the parser's syntax error to a diagnostic. */
export function syntaxError(source: SourceText, error: ParseError): Diagnostic {
  const bare = bareText(source, error.index);
  if (bare !== undefined) return bare;
  const token = tokenAt(source.text, error.index);
  const span = source.span(error.index, error.index + token.length);
  const wording = wordings.get(error.message);
  if (wording !== undefined)
    return source.error(wording.code ?? 'KA1003', span, wording.message, wording.help);
  if (token === '') {
    return source.error('KA1003', span, 'the document is incomplete', 'check whether it is truncated');
  }
  if (error.message.startsWith('Unexpected ')) {
    const character = String.fromCodePoint(token.codePointAt(0) ?? 0);
    const name = /^[!-~]+$/.test(token) ? quote(token) : characterName(character);
    return source.error('KA1003', span, `${name} is not allowed here`, aValue);
  }
  return source.error('KA1003', span, `not valid TOML: ${error.message}`, 'see https://toml.io/en/v1.0.0');
}

/** Reports a value without quotes, which the parser may have started to read as `inf` or `true`. */
function bareText(source: SourceText, at: number): Diagnostic | undefined {
  const start = source.text.lastIndexOf('\n', at - 1) + 1;
  const end = source.text.indexOf('\n', start);
  const line = source.text.slice(start, end === -1 ? undefined : end);
  const [, before, word] = bareValue.exec(line) ?? [];
  if (before === undefined || word === undefined || at < start + before.length) return undefined;
  const from = start + before.length;
  const lower = word.toLowerCase();
  const help = lower === 'true' || lower === 'false' ? `write it in lower-case: ${lower}` : `write "${word}"`;
  return source.error('KA1005', source.span(from, from + word.length), 'a text must be in quotes', help);
}

// Short, so that long lines are not searched, and not valid TOML itself.
const bareValue: RegExp =
  /^(\s{0,40}[A-Za-z0-9_.-]{1,80}\s{0,40}=\s{0,40})(?!(?:true|false|inf|nan)\b)([A-Za-z][\w.@*-]{0,100})\s{0,40}(?:#.*)?$/;

/** Returns the word or single character at an offset; empty at the end. */
function tokenAt(text: string, offset: number): string {
  const word = /^[A-Za-z0-9_-]+/.exec(text.slice(offset, offset + 200))?.[0];
  if (word !== undefined) return word;
  const codePoint = text.codePointAt(offset);
  return codePoint === undefined ? '' : String.fromCodePoint(codePoint);
}
