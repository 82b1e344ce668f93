import { SourceText, type Span } from './diagnostics/diagnostic.js';

/** A word of the kernel command line: `name` or `name=value`. */
export interface KernelWord {
  readonly name: string;
  /** undefined for a word without `=`. */
  readonly value: string | undefined;
  readonly span: Span;
}

export interface KernelCommandLine {
  readonly source: SourceText;
  readonly words: readonly KernelWord[];
}

const isSpace: RegExp = /[ \t\n\v\f\r]/;

/**
 * Parses /proc/cmdline like the kernel (lib/cmdline.c, `next_arg`): a quote toggles whether a space separates, and is
 * removed around a word or a value. Everything after `--` belongs to init (S23).
 */
export function parseKernelCommandLine(text: string): KernelCommandLine {
  const source = new SourceText('/proc/cmdline', text);
  const words: KernelWord[] = [];
  let at = 0;
  while (at < text.length) {
    if (isSpace.test(text.charAt(at))) {
      at += 1;
      continue;
    }
    const end = endOfWord(text, at);
    const { name, value } = split(text.slice(at, end));
    if (name === '--' && value === undefined) break;
    words.push({ name, value, span: source.span(at, end) });
    at = end;
  }
  return { source, words };
}

function endOfWord(text: string, start: number): number {
  let quoted = false;
  let at = start;
  while (at < text.length && (quoted || !isSpace.test(text.charAt(at)))) {
    if (text.charAt(at) === '"') quoted = !quoted;
    at += 1;
  }
  return at;
}

function split(word: string): { readonly name: string; readonly value: string | undefined } {
  const whole = word.startsWith('"') ? word.slice(1).replace(/"$/, '') : word;
  const equals = whole.indexOf('=', 1);
  if (equals === -1) return { name: whole, value: undefined };
  const value = whole.slice(equals + 1);
  return {
    name: whole.slice(0, equals),
    value: value.startsWith('"') ? value.slice(1).replace(/"$/, '') : value,
  };
}
