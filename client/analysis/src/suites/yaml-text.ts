import type { Diagnostic, Span } from '@kata-agent/config';
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml';

/** A YAML text (or JSON, which is YAML), and the errors found in it, each with its position. */
export class YamlText {
  readonly #file: string;
  readonly #lines: readonly string[];
  readonly #counter = new LineCounter();
  readonly #diagnostics: Diagnostic[] = [];
  /** The text's value; undefined if there is none. */
  readonly root: Node | undefined;
  readonly #document: ReturnType<typeof parseDocument>;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#lines = text.split('\n');
    this.#document = parseDocument(text, {
      lineCounter: this.#counter,
      prettyErrors: false,
      merge: true,
    });
    this.root = this.#document.contents ?? undefined;
    for (const { pos, message } of this.#document.errors)
      this.#add('KA2001', this.#span(pos[0], pos[1]), message, 'fix the YAML');
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }

  error(code: Diagnostic['code'], at: Node | undefined, message: string, help: string): void {
    this.#add(code, this.spanOf(at), message, help);
  }

  /** Returns the position of a node; without a node, the start of the text. */
  spanOf(node: Node | undefined): Span {
    const [start, end] = node?.range ?? [0, 1];
    return this.#span(start, end);
  }

  /**
   * Returns the members of a mapping by key. Reports an error if the node is not a mapping, if a key is not in `known`,
   * or if a key is duplicate; `what` names the mapping in messages.
   */
  members(node: Node | undefined, what: string, known: readonly string[]): ReadonlyMap<string, Node> {
    const found = new Map<string, Node>();
    if (!isMap<Node, Node>(node)) {
      this.error('KA2003', node, `${what} must be a mapping`, `its keys are ${known.join(', ')}`);
      return found;
    }
    for (const { key, value } of node.items as readonly Pair<Node, Node | null>[]) {
      const name = isScalar(key) ? String(key.value) : '';
      if (!known.includes(name)) {
        this.error(
          'KA2002',
          key,
          `${what} has no key ${JSON.stringify(name)}`,
          `its keys are ${known.join(', ')}`,
        );
      } else if (value !== null) found.set(name, value);
    }
    return found;
  }

  /** Returns the entries of a list; reports an error and returns none if it is not a list. */
  entries(node: Node | undefined, what: string): readonly Node[] {
    if (node === undefined) return [];
    if (isSeq<Node>(node)) return node.items;
    this.error('KA2003', node, `${what} must be a list`, 'begin each entry with a hyphen');
    return [];
  }

  /**
   * Returns a string; reports an error and returns undefined if it is something else, or empty where it must not be.
   */
  text(node: Node | undefined, what: string, mayBeEmpty = false): string | undefined {
    if (node === undefined) return undefined;
    const value: unknown = this.value(node);
    if (typeof value === 'string' && (mayBeEmpty || value !== '')) return value;
    this.error('KA2003', node, `${what} must be a string`, 'put it in quotes');
    return undefined;
  }

  /** Returns a non-negative integer; reports an error and returns undefined if it is something else. */
  whole(node: Node | undefined, what: string): number | undefined {
    if (node === undefined) return undefined;
    const value: unknown = this.value(node);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    this.error('KA2003', node, `${what} must be a non-negative integer`, 'write it in digits');
    return undefined;
  }

  /** Returns one of the given words; reports an error and returns undefined if it is something else. */
  oneOf<T extends string>(node: Node | undefined, what: string, words: readonly T[]): T | undefined {
    if (node === undefined) return undefined;
    const found = words.find((word) => word === this.value(node));
    if (found === undefined)
      this.error('KA2003', node, `${what} must be one of ${words.join(', ')}`, 'write true or false');
    return found;
  }

  /** Returns a node as plain values. */
  value(node: Node): unknown {
    return node.toJS(this.#document);
  }

  /** Returns the first key with this name at or below a node. */
  keyBelow(node: Node, name: string): Node | undefined {
    let found: Node | undefined;
    visit(node, {
      Pair: (_position, { key }) => {
        if (!isScalar(key) || key.value !== name) return undefined;
        found = key;
        return visit.BREAK;
      },
    });
    return found;
  }

  #span(start: number, end: number): Span {
    const { line, col } = this.#counter.linePos(start);
    const source = this.#lines[line - 1] ?? '';
    const endColumn = Math.max(col + 1, Math.min(col + end - start, source.length + 1));
    return { file: this.#file, line, column: col, endColumn };
  }

  #add(code: Diagnostic['code'], span: Span, message: string, help: string): void {
    const sourceLine = this.#lines[span.line - 1] ?? '';
    this.#diagnostics.push({ severity: 'error', code, message, span, sourceLine, help });
  }
}
