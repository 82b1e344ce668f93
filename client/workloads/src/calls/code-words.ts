import { knownText, type Part, references } from './expansion.js';

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
