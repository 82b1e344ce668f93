import type { MethodName } from '@kata-agent/catalogue';
import { Compilation, Coverage } from '../compile/compilation.js';
import { elementOf } from '../compile/macros.js';
import { loopMacros } from '../functions/macros.js';
import { Patterns } from '../functions/patterns.js';
import { parseExpression } from '../language/parse-expression.js';
import { type Token, tokensOf } from '../language/tokens.js';
import type { Type } from '../language/type.js';

const openers: ReadonlySet<string> = new Set(['(', '[', '{']);
const closers: ReadonlySet<string> = new Set([')', ']', '}']);

/** The variable of a macro. */
export interface LocalVariable {
  readonly name: string;
  readonly type: Type;
}

/** An expression while it is edited, in tokens: it can be incomplete, so it is not parsed as a whole. */
export class EditedExpression {
  readonly #source: string;
  readonly tokens: readonly Token[];

  constructor(source: string) {
    this.#source = source;
    this.tokens = tokensOf(source);
  }

  /** Returns a token as written; empty if there is none. */
  text(index: number): string {
    const token = this.tokens[index];
    return token === undefined ? '' : this.#source.slice(token.start, token.end);
  }

  /** Reports whether an offset is in a comment. */
  inComment(offset: number): boolean {
    const before = this.tokens.findLast(({ end }) => end <= offset)?.end ?? 0;
    const inToken = this.tokens.some(({ start, end }) => start < offset && offset < end);
    return !inToken && /\/\/[^\r\n]*$/.test(this.#source.slice(before, offset));
  }

  /** Returns the type of what is before the dot at a token; undefined if it has none for this method. */
  operandType(dot: number, method: MethodName): Type | undefined {
    return this.#typeOf(this.#operandStart(dot - 1), dot, method, this.localsAt(dot, method));
  }

  /** Returns the variables of the macros around a token, the outermost first. */
  localsAt(index: number, method: MethodName): readonly LocalVariable[] {
    const locals: LocalVariable[] = [];
    for (const open of this.#openBefore(index)) {
      const isLoop =
        loopMacros.some(({ name }) => name === this.text(open - 1)) &&
        this.text(open - 2) === '.' &&
        this.tokens[open + 1]?.kind === 'word' &&
        this.text(open + 2) === ',' &&
        index > open + 2;
      if (!isLoop) continue;
      const items = this.#typeOf(this.#operandStart(open - 3), open - 2, method, locals);
      const type = items && elementOf(items);
      if (type !== undefined) locals.push({ name: this.text(open + 1), type });
    }
    return locals;
  }

  /** Returns the brackets that are open before a token, the outermost first. */
  #openBefore(index: number): readonly number[] {
    const open: number[] = [];
    for (let at = 0; at < index; at += 1) {
      if (openers.has(this.text(at))) open.push(at);
      else if (closers.has(this.text(at))) open.pop();
    }
    return open;
  }

  /** Returns the first token of the operand that ends with a token: of `a.b[0].c(1)`, that of `a`. */
  #operandStart(last: number): number {
    let at = last;
    for (;;) {
      if (closers.has(this.text(at))) {
        const bracket = this.text(at);
        at = this.#opening(at);
        const before = this.tokens[at - 1];
        const isSuffix =
          (bracket === ')' && before?.kind === 'word') ||
          (bracket === ']' && (before?.kind === 'word' || closers.has(this.text(at - 1))));
        if (isSuffix) {
          at -= 1;
          continue;
        }
      }
      if (this.text(at - 1) !== '.' || at < 2) return Math.max(at, 0);
      at -= 2;
    }
  }

  #opening(closing: number): number {
    let depth = 0;
    for (let at = closing; at > 0; at -= 1) {
      if (closers.has(this.text(at))) depth += 1;
      else if (openers.has(this.text(at))) depth -= 1;
      if (depth === 0) return at;
    }
    return 0;
  }

  /** Compiles the tokens of `[from, to)` alone. */
  #typeOf(from: number, to: number, method: MethodName, locals: readonly LocalVariable[]): Type | undefined {
    const start = this.tokens[from]?.start;
    const end = this.tokens[to - 1]?.end;
    if (start === undefined || end === undefined || end <= start) return undefined;
    const read = parseExpression(this.#source.slice(start, end));
    if (!read.ok) return undefined;
    const { parsed } = read;
    const compilation = new Compilation(parsed, method, new Patterns(), new Coverage());
    const compile = locals.reduceRight<() => Type>(
      (body, { name, type }) =>
        () =>
          compilation.withVariable(name, { type }, body),
      () => compilation.compile(parsed.root).type,
    );
    const type = compile();
    return type.kind === 'nothing' ? undefined : type;
  }
}
