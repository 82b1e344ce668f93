import { isGroupName, isMethodName, membersOf, type MethodName } from '@kata-agent/catalogue';
import { decodeDocument, parseToml, stringOffsets } from '@kata-agent/config';
import type { EditedRule } from '@kata-agent/gate/editor';
import { type Place, textsOf } from './place.js';

/** The expression of a rule at a position of a document. */
export interface ExpressionPlace {
  readonly rule: EditedRule;
  /** The offset in the expression. */
  readonly offset: number;
  /** Returns the offset in the document of one in the expression. */
  readonly documentOffset: (offset: number) => number;
}

/** Returns the expression that a place is in; undefined if it is not in one, or in one whose text cannot be decoded. */
export function expressionAt(text: string, place: Place, offset: number): ExpressionPlace | undefined {
  if (place.kind !== 'value' || !place.isText || place.path.join('.') !== 'api.rule.expression')
    return undefined;
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
  const at = offsets.findIndex((each) => each >= offset);
  const first = offsets[0] ?? place.end;
  if (offset < first || at === -1) return undefined;
  return {
    rule: { expression: value.value, methods: methodsOf(textsOf(text, place.table, 'endpoints')) },
    offset: at,
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
