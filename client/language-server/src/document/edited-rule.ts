import { isGroupName, isMethodName, membersOf, type MethodName } from '@kata-agent/catalogue';
import { decodeDocument, parseToml, stringOffsets } from '@kata-agent/config';
import type { EditedRule } from '@kata-agent/gate/editor';
import { type Place, textsOf } from './place.js';

/** The expression of a rule, and where it is in a document. */
export interface LocatedExpression {
  readonly rule: EditedRule;
  /** Returns the offset in the expression of one in the document; undefined outside of it. */
  readonly expressionOffset: (offset: number) => number | undefined;
  /** Returns the offset in the document of one in the expression. */
  readonly documentOffset: (offset: number) => number;
}

/** The path of expressions in a document. */
export const expressionPath = 'api.rule.expression';

/** Returns the expression at a place; undefined if there is none, or one whose text cannot be decoded. */
export function expressionIn(text: string, place: Place): LocatedExpression | undefined {
  if (place.kind !== 'value' || !place.isText || place.path.join('.') !== expressionPath) return undefined;
  const literal = completed(text.slice(place.start, place.end));
  const decoded = decodeDocument(Buffer.from(`x = ${literal}`), 'expression');
  const parsed = decoded.ok ? parseToml(decoded.source) : undefined;
  const value = parsed?.ok === true ? parsed.root.entries.get('x')?.value : undefined;
  if (value?.kind !== 'string') return undefined;
  // Of the literal as in the document, where its closing quotes can be missing.
  const offsets = stringOffsets(
    text.slice(0, place.start) + literal,
    place.start,
    place.start + literal.length,
  );
  const first = offsets[0] ?? place.end;
  return {
    rule: { expression: value.value, methods: methodsOf(textsOf(text, place.table, 'endpoints')) },
    expressionOffset(offset) {
      const at = offsets.findIndex((each) => each >= offset);
      return offset < first || at === -1 ? undefined : at;
    },
    documentOffset: (index) => offsets[index] ?? place.end,
  };
}

/** Adds the quotes that a text is missing. */
function completed(literal: string): string {
  const quotes = /^("""|'''|"|')/.exec(literal)?.[0] ?? '"';
  const isComplete = literal.length >= 2 * quotes.length && literal.endsWith(quotes);
  return isComplete ? literal : literal + quotes;
}

/** Returns the methods that a list names, without what it names wrongly. */
function methodsOf(entries: readonly string[]): readonly MethodName[] {
  const methods = entries.flatMap((entry): readonly MethodName[] => {
    if (isMethodName(entry)) return [entry];
    return entry === '*' || isGroupName(entry) ? membersOf(entry, undefined) : [];
  });
  return [...new Set(methods)];
}
