/** A part of a TOML text. Offsets are UTF-16 units; `end` is exclusive. */
export interface TomlToken {
  readonly kind: 'bare' | 'text' | 'sign' | 'newline' | 'comment';
  readonly start: number;
  readonly end: number;
}

const blank = /[ \t]*/y;

// A text without its end reaches to the end of its line, or of the document if it can have several lines.
const patterns: readonly (readonly [TomlToken['kind'], RegExp])[] = [
  ['newline', /\r?\n/y],
  ['comment', /#[^\r\n]*/y],
  ['text', /"""(?:(?:\\[^]|[^\\])*?"""(?:"{0,2})|[^]*)/y],
  ['text', /'''(?:[^]*?'''(?:'{0,2})|[^]*)/y],
  ['text', /"(?:\\.|[^"\\\r\n])*(?:"|\\?)/y],
  ['text', /'[^'\r\n]*'?/y],
  ['sign', /[[\]{}=,.]/y],
  ['bare', /[^\s[\]{}=,."'#]+/y],
  // A character that TOML does not have here.
  ['sign', /[^]/y],
];

/**
 * Tokenizes a text that can be incomplete or no TOML at all, and is not longer than a document can be: of long texts in quotes the
 * patterns throw a RangeError.
 */
export function* tomlTokens(text: string): Generator<TomlToken> {
  let at = 0;
  for (;;) {
    at = matched(blank, text, at);
    if (at >= text.length) return;
    const start = at;
    for (const [kind, pattern] of patterns) {
      const end = matched(pattern, text, start);
      if (end === start) continue;
      yield { kind, start, end };
      at = end;
      break;
    }
  }
}

/** Returns the end of the pattern's match at `start`, or `start` without a match. */
function matched(pattern: RegExp, text: string, start: number): number {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : start;
}
