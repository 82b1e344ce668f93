import { codes, findCode } from '@kata-agent/catalogue/codes';
import { describeExpression } from '@kata-agent/gate/editor';
import { type Diagnostic, type Hover, MarkupKind, type Position } from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { expressionIn } from './document/edited-rule.js';
import { describeValue, type Key, keyAt } from './document/keys.js';
import { type Place, placeAt } from './document/place.js';
import { partText } from './part-text.js';

/** A text about a part of a document, in Markdown. */
interface Description {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Returns what is known of the position: the section, key, value, or part of an expression, and the meaning of each code with which
 * a diagnostic covers it; null if nothing is.
 */
export function hover(
  document: TextDocument,
  position: Position,
  diagnostics: readonly Diagnostic[],
): Hover | null {
  const described = describe(document.getText(), document.offsetAt(position));
  const covering = diagnostics.filter(
    ({ range: { start, end } }) => covers(start, position) && !covers(end, position),
  );
  const pages = new Set(covering.flatMap(({ code }) => codeText(code)));
  const texts = [...(described === undefined ? [] : [described.text]), ...pages];
  if (texts.length === 0) return null;
  const range =
    described === undefined
      ? covering[0]?.range
      : { start: document.positionAt(described.start), end: document.positionAt(described.end) };
  return {
    contents: { kind: MarkupKind.Markdown, value: texts.join('\n\n---\n\n') },
    ...(range === undefined ? {} : { range }),
  };
}

function covers(start: Position, { line, character }: Position): boolean {
  return start.line < line || (start.line === line && start.character <= character);
}

function codeText(found: Diagnostic['code']): readonly string[] {
  const code = typeof found === 'string' ? findCode(found) : undefined;
  if (code === undefined) return [];
  const { title, explanation, remedy } = codes[code];
  return [`**${code}: ${title}**\n\n${explanation}\n\nHow to fix it: ${remedy}`];
}

function describe(text: string, offset: number): Description | undefined {
  const place = placeAt(text, offset);
  switch (place.kind) {
    case 'header': {
      const [name = ''] = /^[\w.-]*/.exec(text.slice(place.start)) ?? [];
      return described(keyAt(name.split('.')), { start: place.start, end: place.start + name.length });
    }
    case 'key': {
      const name = text.slice(place.start, place.end).replaceAll(/^["']|["']$/g, '');
      return described(keyAt([...place.path, name]), place);
    }
    case 'value':
      return describeAtValue(text, place, offset);
    case 'nowhere':
      return undefined;
  }
}

function describeAtValue(
  text: string,
  place: Extract<Place, { kind: 'value' }>,
  offset: number,
): Description | undefined {
  const expression = expressionIn(text, place);
  if (expression !== undefined) {
    const at = expression.expressionOffset(offset);
    const found = at === undefined ? undefined : describeExpression(expression.rule, at);
    if (found === undefined) return undefined;
    const { start, end, part } = found;
    return {
      start: expression.documentOffset(start),
      end: expression.documentOffset(end),
      text: headed(part.name, part.type, partText(part)),
    };
  }
  if (place.start === place.end) return undefined;
  const value = place.isText ? text.slice(place.start + 1, place.end - 1) : '';
  const doc = describeValue(value);
  return doc === undefined ? undefined : { start: place.start, end: place.end, text: headed(value, '', doc) };
}

function described(key: Key | undefined, { start, end }: Omit<Description, 'text'>): Description | undefined {
  return key === undefined || start === end
    ? undefined
    : { start, end, text: headed(key.name, key.type, key.doc) };
}

function headed(name: string, type: string, doc: string): string {
  return `\`${name}\`${type === '' ? '' : `: ${type}`}${doc === '' ? '' : `\n\n${doc}`}`;
}
