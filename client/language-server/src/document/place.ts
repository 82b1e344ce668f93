import { maxTomlDepth } from '@kata-agent/config';
import { type TomlToken, tomlTokens } from './toml-tokens.js';

/** The part of the text around a position: what a completion replaces, and what a hover describes. */
interface Part {
  /** UTF-16 units of the document; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

/**
 * What a position of a document is for. Paths are names from the top, not more than the language can read; tables of a list have no index in
 * them.
 */
export type Place =
  /** Between the brackets of a section. */
  | (Part & { readonly kind: 'header'; readonly list: boolean })
  /** A key of the table at `path`, or where one can be. */
  | (Part & {
      readonly kind: 'key';
      readonly path: readonly string[];
      /** The table, for `keysIn`. */
      readonly table: number;
    })
  /** The value of the key at `path`, or an entry of it if that is a list. */
  | (Part & {
      readonly kind: 'value';
      readonly path: readonly string[];
      readonly inList: boolean;
      /** Whether the part is a text in quotes, which can be incomplete. */
      readonly isText: boolean;
      /** The table that has the key, for `textsOf`. */
      readonly table: number;
    })
  | { readonly kind: 'nowhere' };

type TextPlace = Extract<Place, { kind: 'value' }>;

const nowhere: Place = { kind: 'nowhere' };

/** Returns what an offset of a document is for. The document can be incomplete: only the text before the offset counts. */
export function placeAt(text: string, offset: number): Place {
  const reader = new Reader(text);
  for (const token of tomlTokens(text)) {
    const { kind, start, end } = token;
    if (offset < start) break;
    if (kind === 'comment' && offset > start && offset <= end) return nowhere;
    if ((kind === 'bare' || kind === 'text') && offset <= end) return reader.place(token);
    if (offset <= start) break;
    reader.read(token);
  }
  return reader.place({ kind: 'sign', start: offset, end: offset });
}

/** Returns the places of all texts of a document that are the value of a key, by its path. */
export function textPlaces(text: string, path: string): readonly TextPlace[] {
  const reader = new Reader(text);
  const found: TextPlace[] = [];
  for (const token of tomlTokens(text)) {
    const place = token.kind === 'text' ? reader.place(token) : nowhere;
    if (place.kind === 'value' && place.path.join('.') === path) found.push(place);
    reader.read(token);
  }
  return found;
}

/** Returns the texts in the list of a key of a table, as written between quotes. */
export function textsOf(text: string, table: number, key: string): readonly string[] {
  const reader = new Reader(text);
  const found: string[] = [];
  for (const token of tomlTokens(text)) {
    const place = token.kind === 'text' ? reader.place(token) : nowhere;
    if (place.kind === 'value' && place.table === table && place.path.at(-1) === key)
      found.push(nameOf(text, token));
    reader.read(token);
  }
  return found;
}

/** Returns the names of the keys that a table has beside the one at a position. */
export function keysIn(text: string, table: number, position: number): readonly string[] {
  const reader = new Reader(text);
  const found: string[] = [];
  for (const token of tomlTokens(text)) {
    const isName = token.kind === 'text' || token.kind === 'bare';
    const place = isName && token.start !== position ? reader.place(token) : nowhere;
    if (place.kind === 'key' && place.table === table) found.push(nameOf(text, token));
    reader.read(token);
  }
  return found;
}

/** A table whose keys are read, or a list. */
type Frame =
  | {
      readonly kind: 'table';
      readonly id: number;
      path: readonly string[];
      /** The parts of the current key. */
      keys: string[];
      after: 'nothing' | 'name' | 'dot' | 'equals' | 'value';
    }
  | { readonly kind: 'list'; readonly path: readonly string[]; readonly id: number };

type TableFrame = Extract<Frame, { kind: 'table' }>;

interface Header {
  readonly start: number;
  readonly list: boolean;
  readonly names: string[];
}

/**
 * Follows tokens through sections, keys and values. What is not TOML is skipped. Of paths that are too long, one name more than the language
 * can read is kept: each inline table has a copy, and a document can have thousands in each other.
 */
class Reader {
  readonly #text: string;
  #tables = 1;
  #section: TableFrame = { kind: 'table', id: 0, path: [], keys: [], after: 'nothing' };
  /** Inside the value of a key of the section, the innermost last. */
  #frames: Frame[] = [];
  #header: Header | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns what a token, which was not read, is for. */
  place({ kind, start, end }: TomlToken): Place {
    if (this.#header !== undefined) {
      const { start: first, list } = this.#header;
      return { kind: 'header', list, start: first, end };
    }
    const isText = kind === 'text';
    const top = this.#top;
    if (isTooDeep(top)) return nowhere;
    if (top.kind === 'list')
      return { kind: 'value', path: top.path, inList: true, isText, start, end, table: top.id };
    const { path, keys, after, id } = top;
    switch (after) {
      case 'nothing':
      case 'dot':
        return { kind: 'key', path: [...path, ...keys], start, end, table: id };
      case 'equals':
        return { kind: 'value', path: [...path, ...keys], inList: false, isText, start, end, table: id };
      default:
        return nowhere;
    }
  }

  read(token: TomlToken): void {
    if (token.kind === 'comment') return;
    if (token.kind === 'newline') this.#endLine(token.end);
    else if (this.#header !== undefined) this.#readHeader(this.#header, token);
    else if (token.kind === 'sign') this.#readSign(token);
    else this.#readName(token);
  }

  get #top(): Frame {
    return this.#frames.at(-1) ?? this.#section;
  }

  #endLine(next: number): void {
    if (this.#header !== undefined) this.#open(this.#header);
    // A list has several lines, and an inline table has one. What begins a statement ends a list without its bracket.
    const top = this.#top;
    if (top.kind === 'list' && !statement.test(this.#text.slice(next, next + longestHead))) return;
    this.#frames = [];
    this.#section.keys = [];
    this.#section.after = 'nothing';
  }

  #readHeader(header: Header, token: TomlToken): void {
    const written = this.#written(token);
    if (written === '[' && header.names.length === 0)
      this.#header = { ...header, list: true, start: token.end };
    else if (written === ']') this.#open(header);
    else if (token.kind !== 'sign') pushName(header.names, [], nameOf(this.#text, token));
  }

  #open({ names }: Header): void {
    this.#header = undefined;
    this.#frames = [];
    // What follows on the line of a header is no key.
    this.#section = { kind: 'table', id: this.#nextId(), path: names, keys: [], after: 'value' };
  }

  #readSign(token: TomlToken): void {
    const top = this.#top;
    const inValue = top.kind === 'list' || top.after === 'equals';
    switch (this.#written(token)) {
      case '[':
        if (inValue) this.#enter({ kind: 'list', path: pathOf(top), id: top.id });
        else if (top === this.#section && top.keys.length === 0 && top.after === 'nothing')
          this.#header = { start: token.end, list: false, names: [] };
        return;
      case '{':
        if (inValue)
          this.#enter({ kind: 'table', id: this.#nextId(), path: pathOf(top), keys: [], after: 'nothing' });
        return;
      case ']':
        if (top.kind === 'list') this.#frames.pop();
        return;
      case '}':
        if (top.kind === 'table' && top !== this.#section) this.#frames.pop();
        return;
      case ',':
        if (top.kind === 'table' && top !== this.#section) {
          top.keys = [];
          top.after = 'nothing';
        }
        return;
      case '=':
        if (top.kind === 'table' && top.after === 'name') top.after = 'equals';
        return;
      case '.':
        if (top.kind === 'table' && top.after === 'name') top.after = 'dot';
        return;
      default:
    }
  }

  #readName(token: TomlToken): void {
    const top = this.#top;
    if (top.kind === 'list') return;
    if (top.after === 'equals') top.after = 'value';
    else if (top.after === 'nothing' || top.after === 'dot') {
      pushName(top.keys, top.path, nameOf(this.#text, token));
      top.after = 'name';
    }
  }

  #enter(frame: Frame): void {
    const top = this.#top;
    if (top.kind === 'table') top.after = 'value';
    this.#frames.push(frame);
  }

  #nextId(): number {
    this.#tables += 1;
    return this.#tables - 1;
  }

  #written({ start, end }: TomlToken): string {
    return this.#text.slice(start, end);
  }
}

const statement = /^[ \t]*(?:\[{1,2}[A-Za-z][\w.-]*\]|[\w.-]+[ \t]*=)/;
const longestHead = 200;

/** Adds a name to a path of two parts, unless that is too long already. */
function pushName(names: string[], before: readonly string[], name: string): void {
  if (before.length + names.length <= maxTomlDepth) names.push(name);
}

function isTooDeep(frame: Frame): boolean {
  return frame.path.length + (frame.kind === 'list' ? 0 : frame.keys.length) > maxTomlDepth;
}

function pathOf(frame: Frame): readonly string[] {
  return frame.kind === 'list' ? frame.path : [...frame.path, ...frame.keys];
}

/** Returns a key or text without its quotes. Names of the language need no escapes, so none are decoded. */
function nameOf(text: string, { kind, start, end }: TomlToken): string {
  const written = text.slice(start, end);
  return kind === 'text' ? written.replaceAll(/^["']|["']$/g, '') : written;
}
