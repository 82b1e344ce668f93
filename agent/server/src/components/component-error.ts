import { withoutEscapes } from './component-lines.js';

/** Longest sentence. */
const maxLength = 300;
/** A longer word can be a key, a token or a part of a secret. Paths, URLs and names of images are shorter. */
const maxWord = 72;

/**
 * Returns the error of a guest component as one sentence: what failed, and the cause that the component names last. Its
 * error is a chain of causes, with the JSON of a registry or a key broker in it, and can quote what it read. The caller of
 * a method is the host, so that text in quotation marks, JSON and long words are left out (S40); the component's own lines
 * in the agent log have all.
 */
export function componentError(text: string): string {
  const plain = withoutJson(withoutEscapes(text))
    .replace(/\[(?:CDH|AA|ERROR|INFO|WARN)[^\]]*\]\s*:?/gi, ' ')
    .replace(/"(?:[^"\\]|\\[^])*(?:"|$)|\u201c[^\u201d]*\u201d|`[^`]*`|(?<=[\s:(=])'[^']*'/g, '…')
    .replace(/\/\/[^/@\s]*@/g, '//…@')
    .replace(/\?\S*/g, '');
  const causes = plain
    .split(/\s*(?:\n\s*)+|\s*Caused by:\s*|:\s+/i)
    .map((part) => sentence(part))
    .filter((part) => /[a-z]{2}/i.test(part) && !/^(?:error|rpc status)$/i.test(part));
  const [first = '', last = first] = [causes[0], causes.at(-1)];
  const both = first === last ? first : `${first}: ${last}`;
  return both === '' ? 'an error without a text' : both.slice(0, maxLength);
}

/** Removes numbers of a list of causes, punctuation at the ends, and words that say nothing to a reader. */
function sentence(part: string): string {
  return part
    .replace(/^\s*\d+\s*[:.]\s*/, '')
    .split(/\s+/)
    .map((word) => (isPlain(word) ? word : '…'))
    .join(' ')
    .replace(/(?:\u2026\s*)+/g, '… ')
    .replace(/^[\s,;.:=-]+|[\s,;.:=-]+$/g, '');
}

/** Base64 has capital and small letters and digits in one long word. */
function isPlain(word: string): boolean {
  if (word.length > maxWord) return false;
  return (
    word.length < 20 || /[/.:]/.test(word) || !(/[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word))
  );
}

/** Replaces JSON by the first message in it that is plain words, as that of a registry's error. */
function withoutJson(text: string): string {
  let result = '';
  let depth = 0;
  let begin = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (isQuoted) {
      // A brace in a string ends no object, and an escaped quotation mark no string.
      if (character === '\\') index += 1;
      else if (character === '"') isQuoted = false;
    } else if (depth > 0 && character === '"') isQuoted = true;
    else if (character === '{') {
      if (depth === 0) begin = index;
      depth += 1;
    } else if (character === '}' && depth > 0) {
      depth -= 1;
      if (depth === 0) result += messageIn(text.slice(begin, index + 1));
    } else if (depth === 0) result += character;
  }
  return result;
}

function messageIn(json: string): string {
  const message = /"message"\s*:\s*"([A-Za-z][A-Za-z ,.-]{2,79})"/.exec(json)?.[1];
  return message === undefined ? ' … ' : ` ${message} `;
}
