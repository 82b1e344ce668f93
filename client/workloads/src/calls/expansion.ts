import { celLiteral } from '../facts/cel-literal.js';

/** A reference to a variable whose value is not known in advance. */
export interface Reference {
  readonly name: string;
  /** Whether the variable can be missing. Kubernetes then leaves the reference as it is. */
  readonly mayMiss: boolean;
  /** The source of the value if it can be any text: `Secret x, key k`. Absent: rules restrict its format. */
  readonly open?: string;
}

/** A part of an expanded text. */
export type Part = string | Reference;

/** Returns the parts of a variable's value; undefined: there is no such variable, and a reference to it remains text. */
export type Resolve = (name: string) => readonly Part[] | undefined;

/**
 * Expands references as Kubernetes does: `$(NAME)` is the variable's value, or is left if there is none; `$$` is `$`. Text parts are
 * never adjacent.
 *
 * Source: Kubernetes `third_party/forked/golang/expansion`.
 */
export function expand(text: string, resolve: Resolve): readonly Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const found of text.matchAll(/\$\$|\$\(([^)]*)\)/g)) {
    parts.push(text.slice(end, found.index));
    end = found.index + found[0].length;
    const name = found[1];
    parts.push(...(name === undefined ? ['$'] : (resolve(name) ?? [found[0]])));
  }
  return merged([...parts, text.slice(end)]);
}

/** Returns the text of parts without references. */
export function knownText(parts: readonly Part[]): string | undefined {
  const [first = '', ...others] = parts;
  return others.length === 0 && typeof first === 'string' ? first : undefined;
}

/** Returns the references among parts. */
export function references(parts: readonly Part[]): readonly Reference[] {
  return parts.filter((part) => typeof part !== 'string');
}

/** Returns CEL for the text: a reference has the value that the variable has in the same request. */
export function celText(parts: readonly Part[]): string {
  if (parts.length === 0) return celLiteral('');
  return parts
    .map((part) => {
      if (typeof part === 'string') return celLiteral(part);
      const name = celLiteral(part.name);
      return part.mayMiss
        ? `(${name} in env ? env[${name}] : ${celLiteral(`$(${part.name})`)})`
        : `env[${name}]`;
    })
    .join(' + ');
}

/** Returns an RE2 pattern for the text: any text for each reference. */
export function patternText(parts: readonly Part[]): string {
  const literal = (text: string): string =>
    text.replace(/[^A-Za-z0-9_]/gu, (letter) => `\\x{${(letter.codePointAt(0) ?? 0).toString(16)}}`);
  return `(?s)^${parts.map((part) => (typeof part === 'string' ? literal(part) : '.*')).join('')}$`;
}

/** Returns the text with a sample for each reference; undefined from `sample`: the variable is missing. */
export function sampleText(parts: readonly Part[], sample: (name: string) => string | undefined): string {
  return parts
    .map((part) => (typeof part === 'string' ? part : (sample(part.name) ?? `$(${part.name})`)))
    .join('');
}

function merged(parts: readonly Part[]): readonly Part[] {
  const result: Part[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (typeof part === 'string' && typeof last === 'string') result[result.length - 1] = last + part;
    else if (part !== '') result.push(part);
  }
  return result;
}

/** How an interpreter finds its code among its arguments. */
interface Interpreter {
  readonly program: RegExp;
  /** An option whose argument is code; if it matches only the begin of a word, the rest is. */
  readonly code: RegExp;
  /** Whether words after that are arguments of the code, and no options. */
  readonly isLast?: true;
  /** An option that has an argument, which is not code. */
  readonly withArgument?: RegExp;
}

const shell: Interpreter = {
  program: /^(?:ba|da|a|z|k|mk|pdk|ya|fi|c|tc)?sh$/,
  code: /^[-+][A-Za-z]*c[A-Za-z]*$/,
  withArgument: /^(?:[-+][A-Za-z]*[oO]|--rcfile|--init-file)$/,
};

/** Programs that run an argument as code, by the last part of their path. */
const interpreters: readonly Interpreter[] = [
  shell,
  { program: /^(?:python|pypy)[0-9.]*$/, code: /^-[A-Za-z]*[cm]$/, isLast: true, withArgument: /^-[WX]$/ },
  { program: /^perl[0-9.]*$/, code: /^-[A-Za-z]*[eEM]/ },
  { program: /^ruby[0-9.]*$/, code: /^-[A-Za-z]*e/, withArgument: /^-[rIC]$/ },
  {
    program: /^(?:node|nodejs|bun)$/,
    code: /^(?:-[pe]|-pe|--eval|--print)(?:=|$)/,
    withArgument: /^(?:-r|--require|--import)$/,
  },
  { program: /^php[0-9.]*$/, code: /^(?:-[rBRE]|--run)/, withArgument: /^-[cdz]$/ },
  { program: /^lua[0-9.]*$|^luajit$/, code: /^-e/, withArgument: /^-l$/ },
  { program: /^(?:g|m|n)?awk$/, code: /^(?:-e|--source)/, withArgument: /^-[vF]$/ },
  { program: /^(?:pwsh|powershell)$/, code: /^-(?:c|command|ec|encodedcommand)$/i },
];

/**
 * Returns the words of a command line that are code or choose the program, and have references to variables that can be any text:
 * by position, with what runs them. The source of such a variable chooses what runs.
 *
 * @param line undefined: the word is unknown.
 */
export function codeWords(line: readonly (readonly Part[] | undefined)[]): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  if (line[0] !== undefined && isOpen(line[0])) found.set(0, 'the program');
  // Also behind a program that starts another one: env, tini, timeout, busybox.
  for (const [index, word] of line.entries()) {
    const name = nameOf(word);
    const interpreter =
      index === 0 && word === undefined && isShellOption(line[1])
        ? shell
        : interpreters.find(({ program }) => name !== undefined && program.test(name));
    if (interpreter === undefined) continue;
    const runs = `code of ${name ?? "the image's program, if that is a shell"}`;
    for (const at of codeOf(line, index + 1, interpreter)) if (!found.has(at)) found.set(at, runs);
  }
  return found;
}

function* codeOf(
  line: readonly (readonly Part[] | undefined)[],
  from: number,
  { code, isLast, withArgument }: Interpreter,
): Iterable<number> {
  for (let index = from; index < line.length; index += 1) {
    const word = line[index] ?? [];
    const text = knownText(word);
    if (text === undefined) {
      const [first] = word;
      // A reference at the begin may be an option, and the code is behind it.
      if (isOpen(word)) yield index;
      if (typeof first === 'string' && !/^[-+]/.test(first)) return;
      continue;
    }
    if (withArgument?.test(text) === true) index += 1;
    else if (text === '--' || !/^[-+]./.test(text)) {
      // The first argument that is not an option: code or a script. With `--`, that is the next one.
      if (text !== '--') return;
      const next = line[index + 1];
      if (next !== undefined && isOpen(next)) yield index + 1;
      return;
    } else if (code.test(text) && code !== shell.code) {
      const next = line[index + 1];
      if (next !== undefined && isOpen(next)) yield index + 1;
      if (isLast === true) return;
      index += 1;
    }
  }
}

function isShellOption(word: readonly Part[] | undefined): boolean {
  const text = word === undefined ? undefined : knownText(word);
  return text !== undefined && shell.code.test(text);
}

function isOpen(parts: readonly Part[]): boolean {
  return references(parts).some(({ open }) => open !== undefined);
}

function nameOf(word: readonly Part[] | undefined): string | undefined {
  const text = word === undefined ? undefined : knownText(word);
  return text?.split('/').at(-1);
}
