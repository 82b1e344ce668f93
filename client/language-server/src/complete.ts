import { completeExpression, type NamedPart } from '@kata-agent/gate/editor';
import {
  type CompletionItem,
  CompletionItemKind,
  type InsertReplaceEdit,
  MarkupKind,
  type Position,
  type TextEdit,
} from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { expressionIn } from './document/edited-rule.js';
import { type Key, keyAt, keysOf, type KnownValue, sections, valuesOf } from './document/keys.js';
import { keysIn, type Place, placeAt, textsOf } from './document/place.js';
import { partText } from './part-text.js';

type KeyPlace = Extract<Place, { kind: 'key' }>;
type ValuePlace = Extract<Place, { kind: 'value' }>;

/** Returns what can be written at a position: sections, keys, values, and in an expression names, fields and functions. */
export function complete(document: TextDocument, position: Position): CompletionItem[] {
  const text = document.getText();
  const offset = document.offsetAt(position);
  const place = placeAt(text, offset);
  const edit = (start: number, end: number, newText: string): TextEdit | InsertReplaceEdit => ({
    range: { start: document.positionAt(start), end: document.positionAt(end) },
    newText,
  });
  switch (place.kind) {
    case 'header':
      return sections
        .filter(({ list }) => list === place.list)
        .map(({ name, purpose }) => ({
          ...item(name, CompletionItemKind.Module, undefined, purpose),
          textEdit: edit(place.start, Math.max(place.end, offset), name),
        }));
    case 'key':
      return keyItems(text, place, edit);
    case 'value':
      return (
        expressionItems(text, place, offset, edit) ??
        (place.isText && isClosedBefore(text, place, offset) ? [] : valueItems(text, place, offset, edit))
      );
    case 'nowhere':
      return [];
  }
}

type Edit = (start: number, end: number, newText: string) => TextEdit | InsertReplaceEdit;

function keyItems(text: string, place: KeyPlace, edit: Edit): CompletionItem[] {
  const taken = new Set(keysIn(text, place.table, place.start));
  const isFollowed = /^[ \t]*[=.]/.test(text.slice(place.end));
  const keys = keysOf(place.path).filter((key) => !isSection(key) && !taken.has(key.name));
  const items = keys.map((key) => ({
    ...item(key.name, CompletionItemKind.Property, key.type, key.doc),
    textEdit: edit(place.start, place.end, isFollowed ? key.name : `${key.name} = `),
  }));
  if (isFollowed || !startsLine(text, place.start)) return items;
  return [
    ...items,
    ...sections.map(({ name, list, purpose }) => {
      const header = list ? `[[${name}]]` : `[${name}]`;
      return {
        ...item(header, CompletionItemKind.Module, undefined, purpose),
        // After the keys of the section that the line is in.
        sortText: `~${header}`,
        filterText: name,
        textEdit: edit(place.start, place.end, header),
      };
    }),
  ];
}

function isSection({ type }: Key): boolean {
  return type.startsWith('[');
}

function startsLine(text: string, offset: number): boolean {
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset).trim() === '';
}

function valueItems(text: string, place: ValuePlace, offset: number, edit: Edit): CompletionItem[] {
  const key = keyAt(place.path);
  if (key === undefined) return [];
  const written = text.slice(place.start, place.end);
  const isList = key.schema !== undefined && 'type' in key.schema && key.schema.type === 'array';
  const quote = place.isText ? written.slice(0, 1) : '"';
  const isOpen = place.isText && !isClosed(written);
  // A text without its end reaches to the end of the line, which is not all of it.
  const end = isOpen ? offset : Math.max(place.end, offset);
  const taken = new Set(place.inList ? textsOf(text, place.table, key.name) : []);
  taken.delete(place.isText ? written.slice(1, isOpen ? undefined : -1) : '');
  return valuesOf(key)
    .filter(({ value }) => !taken.has(value))
    .map((known, index) => {
      const newText = valueText(known, quote);
      return {
        ...item(known.value, CompletionItemKind.EnumMember, key.type, known.doc),
        // In the order of the table, in which groups are first.
        sortText: String(index).padStart(3, '0'),
        filterText: newText,
        textEdit: edit(place.start, end, isList && !place.inList ? `[${newText}]` : newText),
      };
    });
}

function valueText({ value, isText }: KnownValue, quote: string): string {
  return isText ? `${quote}${value}${quote}` : value;
}

function isClosed(written: string): boolean {
  return written.length > 1 && written.endsWith(written.slice(0, 1));
}

/** Reports whether an offset is after the closing quote of a text. */
function isClosedBefore(text: string, { start, end }: ValuePlace, offset: number): boolean {
  return offset === end && isClosed(text.slice(start, end));
}

function expressionItems(
  text: string,
  place: ValuePlace,
  offset: number,
  edit: Edit,
): CompletionItem[] | undefined {
  const expression = expressionIn(text, place);
  const at = expression?.expressionOffset(offset);
  if (expression === undefined || at === undefined) return undefined;
  const { rule, documentOffset } = expression;
  const { start, end, parts } = completeExpression(rule, at);
  return parts.map((part) => ({
    ...item(part.name, partKinds[part.kind], part.type, partText(part)),
    textEdit: edit(documentOffset(start), documentOffset(end), part.name),
  }));
}

const partKinds: Readonly<Record<NamedPart['kind'], CompletionItemKind>> = {
  name: CompletionItemKind.Variable,
  variable: CompletionItemKind.Variable,
  field: CompletionItemKind.Field,
  function: CompletionItemKind.Function,
  macro: CompletionItemKind.Keyword,
  value: CompletionItemKind.EnumMember,
};

function item(
  label: string,
  kind: CompletionItemKind,
  detail: string | undefined,
  doc: string | undefined,
): CompletionItem {
  return {
    label,
    kind,
    ...(detail === undefined ? {} : { detail }),
    ...(doc === undefined || doc === '' ? {} : { documentation: { kind: MarkupKind.Markdown, value: doc } }),
  };
}
