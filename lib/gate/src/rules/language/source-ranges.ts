import type { Expr } from './expression.js';
import type { Token } from './tokens.js';

/** A range of the source; `end` is exclusive. */
export interface SourceRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Source ranges of the nodes of an expression. The parser keeps one offset per node, not always its start: that of an
 * operator, a dot or a bracket. The tokens give the rest.
 */
export class SourceRanges {
  readonly #positions: Readonly<Record<string, number>>;
  readonly #tokens: readonly Token[];
  readonly #source: string;
  readonly #closings: ReadonlyMap<number, number>;

  constructor(
    source: string,
    positions: Readonly<Record<string, number>>,
    tokens: readonly Token[],
    closings: ReadonlyMap<number, number>,
  ) {
    this.#source = source;
    this.#positions = positions;
    this.#tokens = tokens;
    this.#closings = closings;
  }

  of(expr: Expr): SourceRange {
    const start = this.#start(expr);
    return { start, end: Math.max(this.#end(expr), start + 1) };
  }

  /** Returns the range of the name after the dot of `operand.name`. */
  field(expr: Expr): SourceRange {
    return this.#nameAfter(expr) ?? this.of(expr);
  }

  /** Returns the range of a function's or operator's name. */
  operator(expr: Expr): SourceRange {
    const { exprKind } = expr;
    const at = this.#at(expr);
    if (exprKind.case === 'comprehensionExpr' || (exprKind.case === 'callExpr' && exprKind.value.target)) {
      const dot = this.#tokenFrom(at);
      const name = dot && this.#tokenFrom(dot.end);
      if (name !== undefined) return rangeOf(name);
    }
    return rangeOf(this.#tokenFrom(at) ?? { start: at, end: at + 1 });
  }

  #at(expr: Expr): number {
    return this.#positions[String(expr.id)] ?? 0;
  }

  #start(expr: Expr): number {
    const { exprKind } = expr;
    switch (exprKind.case) {
      case 'selectExpr':
        // `has(a.b)`: the node is the call, the operand is inside.
        return exprKind.value.operand === undefined ? this.#at(expr) : this.#start(exprKind.value.operand);
      case 'comprehensionExpr':
        return exprKind.value.iterRange === undefined
          ? this.#at(expr)
          : this.#start(exprKind.value.iterRange);
      case 'callExpr': {
        const { target, args, function: name } = exprKind.value;
        const first = target ?? args[0];
        // The parser counts the offset of a prefix operator in characters, not in UTF-16 units.
        if (name === '-_' || name === '!_') return this.#tokenFrom(this.#at(expr))?.start ?? this.#at(expr);
        return first === undefined ? this.#at(expr) : Math.min(this.#at(expr), this.#start(first));
      }
      default:
        return this.#at(expr);
    }
  }

  #end(expr: Expr): number {
    const { exprKind } = expr;
    switch (exprKind.case) {
      case 'constExpr':
        return this.#literalEnd(this.#at(expr));
      case 'selectExpr':
        return this.field(expr).end;
      case 'callExpr': {
        const { target, args, function: name } = exprKind.value;
        const last = args.at(-1);
        const isOperator = /[^A-Za-z0-9_]|^_/.test(name) && target === undefined;
        if (isOperator && name !== '_[_]' && last !== undefined) return this.#end(last);
        return this.#closing(this.#at(expr));
      }
      case 'listExpr':
      case 'structExpr':
      case 'comprehensionExpr':
        return this.#closing(this.#at(expr));
      default:
        return this.#tokenFrom(this.#at(expr))?.end ?? this.#at(expr) + 1;
    }
  }

  /** Returns the offset after the bracket that closes the first one from `at`. */
  #closing(at: number): number {
    for (let index = this.#indexFrom(at); index < this.#tokens.length; index += 1) {
      const closing = this.#closings.get(this.#tokens[index]?.start ?? -1);
      if (closing !== undefined) return closing;
    }
    return this.#tokenFrom(at)?.end ?? at + 1;
  }

  #literalEnd(at: number): number {
    const token = this.#tokenFrom(at);
    if (token?.kind === 'sign') return this.#tokenFrom(token.end)?.end ?? token.end;
    return token?.end ?? at + 1;
  }

  #nameAfter(expr: Expr): SourceRange | undefined {
    if (expr.exprKind.case !== 'selectExpr') return undefined;
    const { operand, field, testOnly } = expr.exprKind.value;
    const from = testOnly && operand !== undefined ? this.#end(operand) : this.#at(expr);
    for (let index = this.#indexFrom(from); index < this.#tokens.length; index += 1) {
      const token = this.#tokens[index];
      if (token !== undefined && this.#source.slice(token.start, token.end) === field) return rangeOf(token);
    }
    return undefined;
  }

  #tokenFrom(at: number): Token | undefined {
    return this.#tokens[this.#indexFrom(at)];
  }

  /**
   * Returns the index of the first token at or after `at`, by binary search: a list of a thousand strings needs a
   * thousand lookups.
   */
  #indexFrom(at: number): number {
    let low = 0;
    let high = this.#tokens.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#tokens[middle]?.start ?? at) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function rangeOf({ start, end }: SourceRange): SourceRange {
  return { start, end };
}
