import { type AST, ParseError, parseTOML } from 'toml-eslint-parser';
import type { Diagnostic, SourceText, Span } from '../diagnostics/diagnostic.js';
import { syntaxError } from './toml-syntax.js';
import type { TomlTable, TomlValue } from './toml-value.js';

export type ParsedToml =
  | { readonly ok: true; readonly root: TomlTable }
  | { readonly ok: false; readonly diagnostic: Diagnostic };

/** The longest path of a value: keys, inline tables and lists. The language needs at most five. */
export const maxTomlDepth: number = 32;

/** Parses TOML 1.0 into a tree with positions. The parser stops at the first syntax error, so there is at most one. */
export function parseToml(source: SourceText): ParsedToml {
  try {
    const program = parseTOML(source.text, { tomlVersion: '1.0' });
    return { ok: true, root: new TreeBuilder(source).build(program) };
  } catch (error) {
    if (error instanceof ParseError) return { ok: false, diagnostic: syntaxError(source, error) };
    // The parser recurses, and passes long texts as arguments.
    if (error instanceof RangeError) {
      const message = 'the document nests too deeply, or holds a text that is too long';
      return {
        ok: false,
        diagnostic: source.error('KA1006', source.span(0, 1), message, 'no setting needs either'),
      };
    }
    throw error;
  }
}

/** Converts the parser's tree, which is in document order, to tables. The parser has excluded conflicts. */
class TreeBuilder {
  readonly #source: SourceText;

  constructor(source: SourceText) {
    this.#source = source;
  }

  build(program: AST.TOMLProgram): TomlTable {
    const root: TomlTable = { kind: 'table', entries: new Map(), span: this.#source.span(0, 0) };
    for (const node of program.body[0].body) {
      if (node.type === 'TOMLKeyValue') this.#assign(root, node, 0);
      else {
        const table = this.#section(root, node);
        for (const pair of node.body) this.#assign(table, pair, 0);
      }
    }
    return root;
  }

  /**
   * Returns the table of `[a.b]` or `[[a.b]]`. `resolvedKey` contains the indexes of arrays of tables between the
   * names.
   */
  #section(root: TomlTable, node: AST.TOMLTable): TomlTable {
    let place: TomlValue = root;
    let names = 0;
    for (const [index, step] of node.resolvedKey.entries()) {
      const key = node.key.keys[typeof step === 'string' ? names : names - 1];
      const span = this.#span(key ?? node.key);
      if (typeof step === 'string') {
        names += 1;
        if (names > maxTomlDepth) throw new RangeError();
        const array = typeof node.resolvedKey[index + 1] === 'number';
        place = this.#child(place, step, span, array ? 'array' : 'table');
      } else {
        place = this.#item(place, step, span);
      }
    }
    return asTable(place);
  }

  #child(place: TomlValue, name: string, span: Span, kind: 'array' | 'table'): TomlValue {
    const table = asTable(place);
    const known = table.entries.get(name);
    if (known !== undefined) return known.value;
    const value: TomlValue =
      kind === 'array' ? { kind, items: [], span } : { kind, entries: new Map(), span };
    table.entries.set(name, { span, value });
    return value;
  }

  #item(place: TomlValue, index: number, span: Span): TomlValue {
    if (place.kind !== 'array')
      throw new TypeError('the TOML parser gave an index into something that is not a list');
    const known = place.items[index];
    if (known !== undefined) return known;
    const table: TomlTable = { kind: 'table', entries: new Map(), span };
    place.items.push(table);
    return table;
  }

  #assign(table: TomlTable, pair: AST.TOMLKeyValue, depth: number): void {
    const keys = pair.key.keys;
    if (keys.length + depth > maxTomlDepth) throw new RangeError();
    let place: TomlValue = table;
    for (const key of keys.slice(0, -1)) place = this.#child(place, nameOf(key), this.#span(key), 'table');
    const last = keys.at(-1);
    if (last === undefined) throw new TypeError('the TOML parser gave a key without a name');
    const span = this.#span(last);
    asTable(place).entries.set(nameOf(last), { span, value: this.#value(pair.value, depth + keys.length) });
  }

  #value(node: AST.TOMLContentNode, depth: number): TomlValue {
    if (depth > maxTomlDepth) throw new RangeError();
    const span = this.#span(node);
    switch (node.type) {
      case 'TOMLArray':
        return {
          kind: 'array',
          items: node.elements.map((element) => this.#value(element, depth + 1)),
          span,
        };
      case 'TOMLInlineTable': {
        const table: TomlTable = { kind: 'table', entries: new Map(), span };
        for (const pair of node.body) this.#assign(table, pair, depth + 1);
        return table;
      }
      case 'TOMLValue':
        return scalar(node, span);
    }
  }

  #span(node: AST.TOMLNode): Span {
    return this.#source.span(node.range[0], node.range[1]);
  }
}

function scalar(node: AST.TOMLValue, span: Span): TomlValue {
  switch (node.kind) {
    case 'string':
      return { kind: 'string', value: node.value, span, range: node.range };
    case 'integer':
      return { kind: 'integer', value: node.bigint, span };
    case 'float':
      return { kind: 'float', text: node.number, span };
    case 'boolean':
      return { kind: 'boolean', value: node.value, span };
    case 'offset-date-time':
    case 'local-date-time':
    case 'local-date':
    case 'local-time':
      return { kind: 'date', text: node.datetime, span };
  }
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === 'TOMLBare' ? key.name : key.value;
}

function asTable(value: TomlValue): TomlTable {
  if (value.kind !== 'table')
    throw new TypeError('the TOML parser let a key go through something that is not a table');
  return value;
}
