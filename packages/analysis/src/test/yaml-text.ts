import type { Diagnostic, Span } from '@kata-agent/config';
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml';

/** A text in YAML (or JSON, which is YAML), and what is found wrong in it, each with its place. */
export class YamlText {
  readonly #file: string;
  readonly #lines: readonly string[];
  readonly #counter = new LineCounter();
  readonly #diagnostics: Diagnostic[] = [];
  /** The text's value; undefined when there is none. */
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
      this.#add(this.#span(pos[0], pos[1]), message, 'mend the YAML');
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }

  error(at: Node | undefined, message: string, help: string): void {
    this.#add(this.spanOf(at), message, help);
  }

  /** The place of a node; of nothing, the beginning. */
  spanOf(node: Node | undefined): Span {
    const [start, end] = node?.range ?? [0, 1];
    return this.#span(start, end);
  }

  /**
   * The members of a mapping by key. What is no mapping, a key that is none of `known`, or that stands twice is an
   * error; `what` names the mapping in messages.
   */
  members(node: Node | undefined, what: string, known: readonly string[]): ReadonlyMap<string, Node> {
    const found = new Map<string, Node>();
    if (!isMap<Node, Node>(node)) {
      this.error(node, `${what} has to be a mapping`, `its keys are ${known.join(', ')}`);
      return found;
    }
    for (const { key, value } of node.items as readonly Pair<Node, Node | null>[]) {
      const name = isScalar(key) ? String(key.value) : '';
      if (!known.includes(name)) {
        this.error(key, `${what} has no key ${JSON.stringify(name)}`, `its keys are ${known.join(', ')}`);
      } else if (value !== null) found.set(name, value);
    }
    return found;
  }

  /** The entries of a list; an error, and none, when it is no list. */
  entries(node: Node | undefined, what: string): readonly Node[] {
    if (node === undefined) return [];
    if (isSeq<Node>(node)) return node.items;
    this.error(node, `${what} has to be a list`, 'begin each entry with a hyphen');
    return [];
  }

  /** A text; an error, and undefined, when it is something else, or empty where it must not be. */
  text(node: Node | undefined, what: string, mayBeEmpty = false): string | undefined {
    if (node === undefined) return undefined;
    const value: unknown = this.value(node);
    if (typeof value === 'string' && (mayBeEmpty || value !== '')) return value;
    this.error(node, `${what} has to be a text`, 'put it in quotes');
    return undefined;
  }

  /** A whole number that is not negative; an error, and undefined, when it is something else. */
  whole(node: Node | undefined, what: string): number | undefined {
    if (node === undefined) return undefined;
    const value: unknown = this.value(node);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    this.error(node, `${what} has to be a whole number`, 'write it in digits');
    return undefined;
  }

  /** One of some words; an error, and undefined, when it is something else. */
  oneOf<T extends string>(node: Node | undefined, what: string, words: readonly T[]): T | undefined {
    if (node === undefined) return undefined;
    const found = words.find((word) => word === this.value(node));
    if (found === undefined) this.error(node, `${what} is none of ${words.join(', ')}`, 'write one of them');
    return found;
  }

  /** What a node stands for, as plain values. */
  value(node: Node): unknown {
    return node.toJS(this.#document);
  }

  /** The first key of this name at or below a node. */
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

  #add(span: Span, message: string, help: string): void {
    const sourceLine = this.#lines[span.line - 1] ?? '';
    this.#diagnostics.push({ severity: 'error', message, span, sourceLine, help });
  }
}
