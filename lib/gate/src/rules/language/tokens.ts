import type { RuleFault } from '@kata-agent/config';
import { ruleLimits } from './limits.js';

/** A word, number, string or symbol. Offsets count UTF-16 units; `end` is exclusive. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly kind: 'word' | 'number' | 'text' | 'sign';
}

export interface ScanFault {
  readonly code: RuleFault['code'];
  readonly start: number;
  readonly end: number;
  readonly message: string;
  readonly help?: string;
}

export type Scanned =
  | {
      readonly ok: true;
      /** The source with comments replaced by spaces, since the parser supports only one in a row. */
      readonly text: string;
      readonly tokens: readonly Token[];
      /** From each opening bracket's offset to the offset after its closing one. */
      readonly closings: ReadonlyMap<number, number>;
    }
  | { readonly ok: false; readonly fault: ScanFault };

const blank = /(?:[ \t\r\n\f]+|\/\/[^\r\n]*)+/y;
const text =
  /(?:[rR][bB]?|[bB][rR])(?:"""[^]*?"""|'''[^]*?'''|"[^"\r\n]*"|'[^'\r\n]*')|[bB]?(?:"""(?:\\[^]|[^\\])*?"""|'''(?:\\[^]|[^\\])*?'''|"(?:\\.|[^"\\\r\n])*"|'(?:\\.|[^'\\\r\n])*')/y;
const word = /[A-Za-z_][A-Za-z0-9_]*/y;
const number = /(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[uU]?/y;
const sign = /&&|\|\||[<>=!]=|[^]/y;

const closers: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
]);

/**
 * Tokenizes an expression for the positions in messages, and rejects what the parser should not see: deep nesting, long
 * white space, unclosed brackets and strings.
 */
export function scan(source: string): Scanned {
  if (source.length > ruleLimits.source)
    return fail(
      'KA1309',
      0,
      source.length,
      `an expression has at most ${ruleLimits.source} characters, this one has ${source.length}`,
    );
  const tokens: Token[] = [];
  const open: { readonly bracket: string; readonly start: number }[] = [];
  const closings = new Map<number, number>();
  let clean = '';
  let at = 0;
  while (at < source.length) {
    const gap = take(blank, source, at);
    if (gap > at) {
      if (gap - at > ruleLimits.blanks)
        return fail(
          'KA1309',
          at,
          gap,
          `at most ${ruleLimits.blanks} consecutive blanks and comment characters are allowed`,
        );
      clean += source.slice(at, gap).replaceAll(/[^\r\n]/g, ' ');
      at = gap;
      continue;
    }
    const token = nextToken(source, at);
    const written = source.slice(token.start, token.end);
    if (written === '"' || written === "'")
      return fail(
        'KA1301',
        at,
        at + 1,
        'this text does not end',
        `close it with ${written} on the same line`,
      );
    if (closers.has(written)) {
      open.push({ bracket: written, start: at });
      if (open.length > ruleLimits.nesting)
        return fail('KA1309', at, at + 1, `brackets are nested more than ${ruleLimits.nesting} deep`);
    }
    if (written === ')' || written === ']' || written === '}') {
      const last = open.pop();
      if (last === undefined || closers.get(last.bracket) !== written)
        return fail('KA1301', at, at + 1, `nothing is open that "${written}" could close`);
      closings.set(last.start, token.end);
    }
    tokens.push(token);
    clean += written;
    at = token.end;
  }
  const left = open.pop();
  if (left !== undefined)
    return fail(
      'KA1301',
      left.start,
      left.start + 1,
      `"${left.bracket}" is never closed`,
      `add "${closers.get(left.bracket)}"`,
    );
  return { ok: true, text: clean, tokens, closings };
}

/** Tokenizes a text that can be incomplete: a quote that nothing closes is a `sign`, and brackets are not matched. */
export function tokensOf(source: string): readonly Token[] {
  const tokens: Token[] = [];
  for (
    let at = take(blank, source, 0);
    at < source.length;
    at = take(blank, source, tokens.at(-1)?.end ?? at)
  )
    tokens.push(nextToken(source, at));
  return tokens;
}

function nextToken(source: string, start: number): Token {
  for (const [kind, pattern] of [
    ['text', text],
    ['word', word],
    ['number', number],
  ] as const) {
    const end = take(pattern, source, start);
    if (end > start) return { start, end, kind };
  }
  return { start, end: take(sign, source, start), kind: 'sign' };
}

/** Returns the end of the pattern's match at `start`, or `start` without a match. */
function take(pattern: RegExp, source: string, start: number): number {
  pattern.lastIndex = start;
  return pattern.test(source) ? pattern.lastIndex : start;
}

function fail(code: ScanFault['code'], start: number, end: number, message: string, help?: string): Scanned {
  return { ok: false, fault: { code, start, end, message, ...(help === undefined ? {} : { help }) } };
}
