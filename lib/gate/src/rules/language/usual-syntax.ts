// A parser of what rules are usually made of. The library's parser (@bufbuild/cel) takes 2 to 4 µs per character: 60 to 110 ms of the start
// with the rules of one pod. This one returns the same tree, or undefined for everything that it does not know, and for every mistake: the
// library then decides, and reports. usual-syntax.property.test.ts compares the trees.
import type { Expr, NodeOf } from './expression.js';
import { expandedMacro, type MemberCall, type NodeMaker } from './expand-macros.js';
import { ruleLimits } from './limits.js';
import type { Token } from './tokens.js';

/** A tree as the library's parser returns it. */
export interface ParsedTree {
  readonly expr: Expr;
  /** The offset of each node, by its id: where the token begins that makes it, or white space before this token. */
  readonly positions: Readonly<Record<string, number>>;
  /** The macro's name for each expanded loop, by the loop's id. */
  readonly macros: ReadonlyMap<bigint, string>;
}

/** Parses an expression of the usual syntax. Undefined: it is not of this syntax, and may be valid or not. */
export function parseUsualSyntax(text: string, tokens: readonly Token[]): ParsedTree | undefined {
  const parser = new Parser(text, tokens);
  try {
    return parser.whole();
  } catch (error) {
    if (error instanceof UnusualSyntax) return undefined;
    throw error;
  }
}

/** The expression has something that the parser does not know. */
class UnusualSyntax extends Error {
  override readonly name = 'UnusualSyntax';
}

const reserved: ReadonlySet<string> = new Set(
  (
    'as break const continue else false for function if import in let loop namespace null package return true var ' +
    'void while'
  ).split(' '),
);

/** The library reads `trueish` as `true`, and rejects the rest. */
const beginsAsLiteral = /^(?:true|false|null)/;

/** Operators by precedence, weakest first. Those of a level are evaluated from left to right. */
const levels: readonly ReadonlySet<string>[] = [
  new Set(['==', '!=', '<', '<=', '>', '>=', 'in']),
  new Set(['+', '-']),
  new Set(['*', '/', '%']),
];

const escapes: ReadonlyMap<string, string> = new Map([
  ['\\\\', '\\'],
  ['\\"', '"'],
  ["\\'", "'"],
  ['\\n', '\n'],
  ['\\r', '\r'],
  ['\\t', '\t'],
]);

class Parser implements NodeMaker {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #words: readonly string[];
  readonly #positions: Record<string, number> = {};
  readonly #macros = new Map<bigint, string>();
  #at = 0;
  #id = 0n;
  #depth = 0;

  constructor(text: string, tokens: readonly Token[]) {
    this.#text = text;
    this.#tokens = tokens;
    this.#words = tokens.map(({ start, end }) => text.slice(start, end));
  }

  whole(): ParsedTree {
    const expr = this.#expression();
    if (this.#at < this.#tokens.length) throw new UnusualSyntax();
    return { expr, positions: this.#positions, macros: this.#macros };
  }

  node(offset: number, exprKind: Expr['exprKind']): Expr {
    this.#id += 1n;
    this.#positions[String(this.#id)] = offset;
    return { $typeName: 'cel.expr.Expr', id: this.#id, exprKind };
  }

  call(offset: number, name: string, args: Expr[]): Expr {
    return this.node(offset, {
      case: 'callExpr',
      value: { $typeName: 'cel.expr.Expr.Call', function: name, args },
    });
  }

  /** `test ? yes : no`, or what is stronger. */
  #expression(): Expr {
    // A chain of choices is as deep as it is long; the library has its own limit.
    this.#depth += 1;
    if (this.#depth > ruleLimits.depth) throw new UnusualSyntax();
    const { start } = this.#token();
    const test = this.#junction('||', start);
    let expr = test;
    if (this.#take('?')) {
      const yes = this.#junction('||', this.#token().start);
      this.#expect(':');
      const no = this.#expression();
      expr = this.call(start, '_?_:_', [test, yes, no]);
    }
    this.#depth -= 1;
    return expr;
  }

  /** Operands of `||`, or of `&&`, which becomes a balanced tree: its operator is associative. */
  #junction(operator: '||' | '&&', start: number): Expr {
    const operand = (): Expr =>
      operator === '||' ? this.#junction('&&', this.#token().start) : this.#operation(0);
    const terms = [operand()];
    while (this.#take(operator)) terms.push(operand());
    const balanced = (low: number, high: number): Expr => {
      if (low === high) return terms[low] as Expr;
      const middle = Math.floor((low + high) / 2);
      const left = balanced(low, middle);
      return this.call(start, `_${operator}_`, [left, balanced(middle + 1, high)]);
    };
    return balanced(0, terms.length - 1);
  }

  #operation(level: number): Expr {
    const operators = levels[level];
    if (operators === undefined) return this.#prefixed();
    const first = this.#operation(level + 1);
    // As in the library, all operands are parsed before the nodes of their operators are made.
    const rest: { readonly offset: number; readonly operator: string; readonly right: Expr }[] = [];
    for (;;) {
      const operator = this.#word();
      if (operator === undefined || !operators.has(operator)) break;
      const offset = this.#token().start;
      if (operator === 'in' && !this.#isApart()) throw new UnusualSyntax();
      this.#at += 1;
      rest.push({ offset, operator, right: this.#operation(level + 1) });
    }
    return rest.reduce(
      (left, { offset, operator, right }) =>
        this.call(offset, operator === 'in' ? '@in' : `_${operator}_`, [left, right]),
      first,
    );
  }

  #prefixed(): Expr {
    const word = this.#word();
    if (word !== '!' && word !== '-') return this.#member();
    const { start, end } = this.#token();
    this.#at += 1;
    const next = this.#token();
    if (word === '-' && next.kind === 'number' && next.start === end)
      return this.#suffixes(this.#number(start, '-'));
    if (this.#word() === '!' || this.#word() === '-') throw new UnusualSyntax();
    const operand = this.#member();
    // The library drops both of `!(!a)`.
    const { case: kind, value } = operand.exprKind;
    if (kind === 'callExpr' && value.function === `${word}_`) throw new UnusualSyntax();
    return this.call(start, `${word}_`, [operand]);
  }

  #member(): Expr {
    return this.#suffixes(this.#primary());
  }

  /** `.name`, `.name(…)` and `[…]`. As in the library, the arguments of all are parsed before their nodes are made. */
  #suffixes(first: Expr): Expr {
    const suffixes: ((operand: Expr) => Expr)[] = [];
    for (;;) {
      const offset = this.#tokens[this.#at]?.start ?? 0;
      if (this.#take('.')) {
        const name = this.#name();
        const args = this.#word() === '(' ? this.#arguments() : undefined;
        suffixes.push((operand) =>
          args === undefined
            ? this.#select(offset, operand, name)
            : this.#memberCall(offset, { target: operand, name, args }),
        );
      } else if (this.#take('[')) {
        const index = this.#expression();
        this.#expect(']');
        suffixes.push((operand) => this.call(offset, '_[_]', [operand, index]));
      } else return suffixes.reduce((operand, suffix) => suffix(operand), first);
    }
  }

  #select(offset: number, operand: Expr, field: string): Expr {
    return this.node(offset, {
      case: 'selectExpr',
      value: { $typeName: 'cel.expr.Expr.Select', operand, field, testOnly: false },
    });
  }

  #memberCall(offset: number, { target, name, args }: MemberCall): Expr {
    const call = this.node(offset, {
      case: 'callExpr',
      value: { $typeName: 'cel.expr.Expr.Call', function: name, target, args },
    });
    const loop = expandedMacro(this, offset, { target, name, args });
    if (loop === undefined) return call;
    this.#macros.set(loop.id, name);
    return loop;
  }

  #primary(): Expr {
    const token = this.#token();
    const { start } = token;
    switch (token.kind) {
      case 'number':
        return this.#number(start, '');
      case 'text':
        return this.#string();
      case 'word':
        return this.#named();
      case 'sign':
        return this.#bracketed();
    }
  }

  #bracketed(): Expr {
    switch (this.#word()) {
      case '(': {
        this.#at += 1;
        const expr = this.#expression();
        this.#expect(')');
        return expr;
      }
      case '[':
        return this.#list();
      default:
        throw new UnusualSyntax();
    }
  }

  /** A name, a literal that is a word, or the call of a function. */
  #named(): Expr {
    const { start } = this.#token();
    const word = this.#word();
    if (word === 'true' || word === 'false') {
      this.#at += 1;
      return this.#constant(start, { case: 'boolValue', value: word === 'true' });
    }
    const name = this.#name();
    if (this.#word() === '{') throw new UnusualSyntax();
    if (this.#word() !== '(')
      return this.node(start, { case: 'identExpr', value: { $typeName: 'cel.expr.Expr.Ident', name } });
    const args = this.#arguments();
    const [first] = args;
    if (name !== 'has' || args.length !== 1 || first?.exprKind.case !== 'selectExpr')
      return this.call(start, name, args);
    const presence = this.node(start, {
      case: 'selectExpr',
      value: { ...first.exprKind.value, testOnly: true },
    });
    this.#macros.set(presence.id, name);
    return presence;
  }

  #arguments(): Expr[] {
    this.#expect('(');
    const args: Expr[] = [];
    if (this.#word() === ')') {
      // The library does not know `f( )`.
      if (this.#tokens[this.#at - 1]?.end !== this.#token().start) throw new UnusualSyntax();
      this.#at += 1;
      return args;
    }
    do args.push(this.#expression());
    while (this.#take(','));
    this.#expect(')');
    return args;
  }

  /** A list may end with a comma. */
  #list(): Expr {
    const { start } = this.#token();
    this.#expect('[');
    const elements: Expr[] = [];
    while (!this.#take(']')) {
      elements.push(this.#expression());
      if (!this.#take(',') && this.#word() !== ']') throw new UnusualSyntax();
    }
    return this.node(start, {
      case: 'listExpr',
      value: { $typeName: 'cel.expr.Expr.CreateList', elements, optionalIndices: [] },
    });
  }

  #number(offset: number, sign: '' | '-'): Expr {
    const word = this.#word() ?? '';
    // Also not `1in`, of which it is not clear where the number ends.
    const next = this.#tokens[this.#at + 1];
    if (next?.start === this.#token().end && next.kind !== 'sign') throw new UnusualSyntax();
    this.#at += 1;
    const [, digits, unsigned] = /^(0|[1-9][0-9]*|0x[0-9a-fA-F]+)([uU]?)$/.exec(word) ?? [];
    if (digits === undefined || (sign !== '' && unsigned !== '')) throw new UnusualSyntax();
    const value = BigInt(digits);
    return this.#constant(
      offset,
      unsigned === ''
        ? { case: 'int64Value', value: sign === '' ? value : -value }
        : { case: 'uint64Value', value },
    );
  }

  /** A text in single or double quotes, on one line, with simple escapes. */
  #string(): Expr {
    const { start, end } = this.#token();
    const quote = this.#text[start];
    const inner = this.#text.slice(start + 1, end - 1);
    const isPlain =
      (quote === '"' || quote === "'") && !inner.startsWith(quote) && !/[\r\n\ud800-\udfff]/.test(inner);
    if (!isPlain) throw new UnusualSyntax();
    this.#at += 1;
    const value = inner.replaceAll(/\\[^]/g, (escape) => {
      const character = escapes.get(escape);
      if (character === undefined) throw new UnusualSyntax();
      return character;
    });
    return this.#constant(start, { case: 'stringValue', value });
  }

  #constant(offset: number, constantKind: NodeOf<'constExpr'>['constantKind']): Expr {
    return this.node(offset, {
      case: 'constExpr',
      value: { $typeName: 'cel.expr.Constant', constantKind },
    });
  }

  #name(): string {
    const word = this.#word();
    if (
      word === undefined ||
      this.#token().kind !== 'word' ||
      reserved.has(word) ||
      beginsAsLiteral.test(word)
    )
      throw new UnusualSyntax();
    this.#at += 1;
    return word;
  }

  /** Reports whether there is white space on both sides of the current token. */
  #isApart(): boolean {
    const { start, end } = this.#token();
    const { [this.#at - 1]: before, [this.#at + 1]: after } = this.#tokens;
    return (before?.end ?? start) < start && end < (after?.start ?? end);
  }

  #take(word: string): boolean {
    if (this.#word() !== word || this.#token().kind === 'text') return false;
    this.#at += 1;
    return true;
  }

  #expect(word: string): void {
    if (!this.#take(word)) throw new UnusualSyntax();
  }

  #word(): string | undefined {
    return this.#words[this.#at];
  }

  #token(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new UnusualSyntax();
    return token;
  }
}
