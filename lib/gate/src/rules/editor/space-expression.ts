import { parseExpression } from '../language/parse-expression.js';
import { type Token, tokensOf } from '../language/tokens.js';

/** A replacement of `[start, end)`, in UTF-16 units of the expression. */
export interface SpaceEdit {
  readonly start: number;
  readonly end: number;
  readonly text: '' | ' ';
}

/**
 * Returns the edits that put the usual spaces between the tokens of each line: `a==b&&!c` becomes `a == b && !c`. Line breaks,
 * indentation and comments stay. Empty for an expression that cannot be parsed.
 */
export function spaceExpression(expression: string): readonly SpaceEdit[] {
  if (!parseExpression(expression).ok) return [];
  const tokens = tokensOf(expression);
  const written = tokens.map(({ start, end }) => expression.slice(start, end));
  const signs = new Signs();
  const edits = tokens.flatMap((token, index): readonly SpaceEdit[] => {
    const next = tokens[index + 1];
    const kind = signs.read(token, written[index] ?? '');
    if (next === undefined) return [];
    const gap = expression.slice(token.end, next.start);
    if (!/^[ \t]*$/.test(gap)) return [];
    const text = isSpaced(kind, signs.peek(next, written[index + 1] ?? '')) ? ' ' : '';
    return text === gap ? [] : [{ start: token.end, end: next.start, text }];
  });
  return keepsTokens(expression, edits, written) ? edits : [];
}

/** What a token is for, as far as the spaces around it depend on it. */
type Kind = 'operand' | 'binary' | 'unary' | 'open' | 'close' | 'attached' | 'separator' | 'dot';

/** Tells unary from binary minus, calls from groups, and the colon of a map from that of a choice. */
class Signs {
  #last: Kind = 'open';
  #lastIsCallable = false;
  /** The choices without their colon, by open bracket, the innermost last. */
  readonly #choices: number[] = [0];

  /** Returns the kind of the next token. */
  read(token: Token, text: string): Kind {
    const kind = this.peek(token, text);
    if (kind === 'open' || kind === 'attached') this.#choices.push(0);
    else if (kind === 'close') this.#choices.pop();
    else if (text === '?') this.#choices[this.#choices.length - 1] = this.#pending + 1;
    else if (text === ':' && kind === 'binary') this.#choices[this.#choices.length - 1] = this.#pending - 1;
    this.#last = kind;
    this.#lastIsCallable = kind === 'close' || (kind === 'operand' && token.kind !== 'number');
    return kind;
  }

  peek({ kind }: Token, text: string): Kind {
    if (kind !== 'sign') return text === 'in' ? 'binary' : 'operand';
    switch (text) {
      case '(':
      case '[':
        return this.#lastIsCallable ? 'attached' : 'open';
      case '{':
        return 'open';
      case ')':
      case ']':
      case '}':
        return 'close';
      case ',':
        return 'separator';
      case '.':
        return 'dot';
      case ':':
        return this.#pending > 0 ? 'binary' : 'separator';
      case '!':
        return 'unary';
      case '-':
        return this.#last === 'operand' || this.#last === 'close' ? 'binary' : 'unary';
      default:
        return 'binary';
    }
  }

  get #pending(): number {
    return this.#choices.at(-1) ?? 0;
  }
}

function isSpaced(left: Kind, right: Kind): boolean {
  if (left === 'open' || left === 'attached' || left === 'unary' || left === 'dot') return false;
  return right !== 'attached' && right !== 'close' && right !== 'separator' && right !== 'dot';
}

/** Reports whether the edited expression can be parsed and has the same tokens, so that it means the same. */
function keepsTokens(expression: string, edits: readonly SpaceEdit[], written: readonly string[]): boolean {
  const edited = edits.reduceRight(
    (text, { start, end, text: gap }) => text.slice(0, start) + gap + text.slice(end),
    expression,
  );
  const tokens = tokensOf(edited).map(({ start, end }) => edited.slice(start, end));
  return (
    parseExpression(edited).ok &&
    tokens.length === written.length &&
    tokens.every((token, index) => token === written[index])
  );
}
