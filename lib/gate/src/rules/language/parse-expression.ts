import { parse } from '@bufbuild/cel';
import { type Expr, partsOf } from './expression.js';
import { ruleLimits } from './limits.js';
import { SourceRanges } from './source-ranges.js';
import { type ScanFault, scan, type Token } from './tokens.js';
import { type ParsedTree, parseUsualSyntax } from './usual-syntax.js';

/** A syntactically valid expression. */
export interface ParsedExpression {
  readonly root: Expr;
  readonly ranges: SourceRanges;
  /** The macro's name for each expanded loop, by the loop's id. */
  readonly macros: ReadonlyMap<bigint, string>;
}

export type ExpressionRead =
  | { readonly ok: true; readonly parsed: ParsedExpression }
  | { readonly ok: false; readonly fault: ScanFault };

/** Parses an expression within the limits of size and depth. Never throws. */
export function parseExpression(source: string): ExpressionRead {
  const scanned = scan(source);
  if (!scanned.ok) return scanned;
  const { text, tokens, closings } = scanned;
  if (tokens.length === 0)
    return {
      ok: false,
      fault: { code: 'KA1301', start: 0, end: source.length, message: 'the expression is empty' },
    };
  let parsed: ParsedTree;
  try {
    parsed = parseUsualSyntax(text, tokens) ?? parseAnySyntax(text);
  } catch (error) {
    return { ok: false, fault: syntaxFault(error, source, tokens) };
  }
  const size = measure(parsed.expr);
  if (size.nodes > ruleLimits.nodes || size.depth > ruleLimits.depth) {
    const message =
      size.depth > ruleLimits.depth
        ? `operators are nested more than ${ruleLimits.depth} deep`
        : `the expression has more than ${ruleLimits.nodes} parts`;
    return {
      ok: false,
      fault: { code: 'KA1309', start: 0, end: source.length, message, help: 'make several rules of it' },
    };
  }
  const ranges = new SourceRanges(source, parsed.positions, tokens, closings);
  return { ok: true, parsed: { root: parsed.expr, ranges, macros: parsed.macros } };
}

/** Parses an expression as the library does. @throws what it throws for a mistake */
export function parseAnySyntax(text: string): ParsedTree {
  const { expr, sourceInfo } = parse(text);
  const macros = new Map(
    Object.entries(sourceInfo?.macroCalls ?? {}).map(([id, { exprKind }]) => [
      BigInt(id),
      exprKind.case === 'callExpr' ? exprKind.value.function : '',
    ]),
  );
  return { expr, positions: sourceInfo?.positions ?? {}, macros };
}

/** Iterative, because the depth is not known to be safe for recursion. */
function measure(root: Expr): { readonly nodes: number; readonly depth: number } {
  let nodes = 0;
  let depth = 0;
  let level: readonly Expr[] = [root];
  while (level.length > 0) {
    depth += 1;
    nodes += level.length;
    if (nodes > ruleLimits.nodes || depth > ruleLimits.depth) break;
    level = level.flatMap(partsOf);
  }
  return { nodes, depth };
}

/** Converts an error of the library, which has a position only for syntax errors. */
function syntaxFault(error: unknown, source: string, tokens: readonly Token[]): ScanFault {
  if (error instanceof RangeError) {
    const deep = error.message.includes('call stack');
    const message = deep
      ? 'the expression is nested too deeply to be read'
      : 'a text has an escape that means no character; write \\uXXXX or \\UXXXXXXXX';
    return { code: deep ? 'KA1309' : 'KA1301', start: 0, end: source.length, message };
  }
  const offset = offsetOf(error);
  if (offset === undefined) {
    const message = error instanceof Error && error.message !== '' ? error.message : 'it cannot be read';
    return { code: 'KA1301', start: 0, end: source.length, message };
  }
  const token = tokens.find(({ start }) => start >= offset);
  if (token === undefined)
    return {
      code: 'KA1301',
      start: source.length - 1,
      end: source.length,
      message: 'the expression ends too early',
    };
  const { start, end } = token;
  // Control characters are not repeated.
  const word = JSON.stringify(source.slice(start, end).replaceAll(/[\x7f-\x9f]/g, '\ufffd'));
  if (error instanceof Error && /reserved/.test(error.message))
    return { code: 'KA1301', start, end, message: `${word} is a word of the language and cannot be a name` };
  // The grammar reports the operator when its right operand is missing.
  if (/[-+*/%<>=!&|?]"$/.test(word) && tokens.at(-1) === token)
    return { code: 'KA1301', start, end, message: `something must follow ${word}` };
  const help = habits.get(source.slice(start, end));
  return {
    code: 'KA1301',
    start,
    end,
    message: `${word} is not allowed here`,
    ...(help === undefined ? {} : { help }),
  };
}

/** Syntax of other languages, with its CEL equivalent. */
const habits: ReadonlyMap<string, string> = new Map([
  ['=', 'write == to compare'],
  ['and', 'write &&'],
  ['or', 'write ||'],
  ['not', 'write !'],
  ['&', 'write &&'],
  ['|', 'write ||'],
  [';', 'a rule is one expression; join conditions with &&'],
]);

function offsetOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('location' in error)) return undefined;
  const { location } = error as { location?: { start?: { offset?: unknown } } };
  const offset = location?.start?.offset;
  return typeof offset === 'number' ? offset : undefined;
}
