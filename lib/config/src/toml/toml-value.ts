import type { Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';

/** A TOML value with its position. Tables are maps, so that `__proto__` is an ordinary key. */
export type TomlValue =
  | TomlString
  | { readonly kind: 'integer'; readonly value: bigint; readonly span: Span }
  | { readonly kind: 'float'; readonly text: string; readonly span: Span }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly span: Span }
  | { readonly kind: 'date'; readonly text: string; readonly span: Span }
  | TomlArray
  | TomlTable;

interface TomlString {
  readonly kind: 'string';
  readonly value: string;
  readonly span: Span;
  /** Its start and end in the source, quotes included, for positions inside it. */
  readonly range: readonly [number, number];
}

export interface TomlArray {
  readonly kind: 'array';
  readonly items: TomlValue[];
  readonly span: Span;
}

export interface TomlTable {
  readonly kind: 'table';
  readonly entries: Map<string, TomlEntry>;
  readonly span: Span;
}

export interface TomlEntry {
  /** The position of the key. */
  readonly span: Span;
  readonly value: TomlValue;
}

/** Describes a value for messages: `the integer 5`, `a list`. */
export function describeToml(value: TomlValue): string {
  switch (value.kind) {
    case 'string':
      return `the text ${quote(value.value)}`;
    case 'integer':
      return `the integer ${value.value}`;
    case 'float':
      return `the number ${value.text}`;
    case 'boolean':
      return `the boolean ${value.value}`;
    case 'date':
      return `the date ${value.text}`;
    case 'array':
      return 'a list';
    case 'table':
      return 'a table';
  }
}
