import { isDeepStrictEqual } from 'node:util';
import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type YAMLMap } from 'yaml';
import { isRecord } from '@kata-agent/base';
import { type Field, pathOf, type WorkloadError } from './field.js';
import { documentsOf, type ObjectFile, objectsIn } from './objects.js';

/** A replacement of a part of a text. */
export interface TextEdit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

type Step = string | number;

/** The replacement that gives a value of an object another text. */
export interface FieldEdit extends TextEdit {
  /** A part of the object. */
  readonly field: Field;
  /** The path of the value below the field; mappings that are not there yet are made by the edit. */
  readonly path: readonly string[];
  readonly value: string;
}

/**
 * Replaces parts of a file's text. All other bytes stay as they are, and all other values: throws the error that `refused` makes of an edit
 * and of the path of a value that would be wrong after it, such as an alias of what the edit replaces.
 */
export function editFields(
  file: ObjectFile,
  editsOf: (objects: readonly Field[]) => readonly FieldEdit[],
  refused: (edit: FieldEdit, path: string) => WorkloadError,
): string {
  const documents = documentsOf(file);
  const edits = editsOf(objectsIn(documents));
  const text = editText(file.text, edits);
  const after = documentsOf({ ...file, text });
  for (const [index, document] of documents.entries()) {
    const own = edits.filter(({ field }) => field.source.document === document.source.document);
    const expected = own.reduce<unknown>(
      (value, edit) => withValue(value, [...edit.field.source.steps, ...edit.path], edit.value),
      document.value,
    );
    const wrong = firstDifference(expected, after[index]?.value);
    if (wrong === undefined) continue;
    const path = pathOf(wrong);
    const cause = own.find(({ field }) => path.startsWith(field.path)) ?? own[0];
    if (cause !== undefined) throw refused(cause, path);
  }
  return text;
}

/** Fields that are aliases of one text share its edit. */
function editText(text: string, edits: readonly TextEdit[]): string {
  return [...new Map(edits.map((edit) => [edit.from, edit])).values()]
    .toSorted((a, b) => b.from - a.from)
    .reduce((whole, edit) => whole.slice(0, edit.from) + edit.text + whole.slice(edit.to), text);
}

/** Returns a copy of a value with another one at a path. */
function withValue(value: unknown, [step, ...others]: readonly Step[], text: string): unknown {
  if (step === undefined) return text;
  if (Array.isArray(value))
    return value.map((element: unknown, index) =>
      index === step ? withValue(element, others, text) : element,
    );
  const members = isRecord(value) ? value : {};
  return { ...members, [step]: withValue(members[step], others, text) };
}

/** Returns the path to what differs; undefined: nothing does. */
function firstDifference(a: unknown, b: unknown): readonly Step[] | undefined {
  if (isDeepStrictEqual(a, b)) return undefined;
  const steps =
    Array.isArray(a) && Array.isArray(b) ? [...a.keys()] : isRecord(a) && isRecord(b) ? Object.keys(a) : [];
  for (const step of steps) {
    const inner = firstDifference((a as Record<Step, unknown>)[step], (b as Record<Step, unknown>)[step]);
    if (inner !== undefined) return [step, ...inner];
  }
  return [];
}

/** Returns the pair of a mapping's key, merged ones aside. */
export function pairWith(map: YAMLMap, key: Step): Pair | undefined {
  return map.items.find((item) => isScalar(item.key) && item.key.value === key);
}

/** Returns the node that gives the value at a path, through aliases and merge keys. */
export function nodeAt(document: Document, steps: readonly Step[]): unknown {
  return steps.reduce<unknown>((node, step) => memberOf(document, node, step), document.contents);
}

function memberOf(document: Document, node: unknown, step: Step): unknown {
  if (isSeq(node)) return resolved(document, node.items[Number(step)]);
  if (!isMap(node)) return undefined;
  const own = pairWith(node, step);
  if (own !== undefined) return resolved(document, own.value);
  const merged = node.items
    .filter(({ key }) => isScalar(key) && key.source === '<<')
    .map(({ value }) => resolved(document, value))
    .flatMap((value) => (isSeq(value) ? value.items.map((each) => resolved(document, each)) : [value]));
  return merged.map((each) => memberOf(document, each, step)).find((found) => found !== undefined);
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}
