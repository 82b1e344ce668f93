import { isMap, isNode, isScalar, type Node, type Pair, type Range, type YAMLMap } from 'yaml';
import { type Field, WorkloadError } from './field.js';
import { type ObjectFile, objectsOf } from './objects.js';
import { templatesOf } from './pod-templates.js';
import { editFields, pairWith, type TextEdit } from './text-edits.js';

interface AnnotationOptions {
  /** The annotation's key. */
  readonly key: string;
  /** Paths of pod templates in objects of other kinds than those of Kubernetes, as for `readManifests`. */
  readonly templates: readonly string[];
  /** The value for each workload of the file, in the order of `readManifests`: a plain scalar of YAML. Undefined: none is set. */
  readonly values: readonly (string | undefined)[];
}

/** An annotation of a workload's pods. */
export interface PodAnnotation {
  readonly kind: string;
  readonly name: string;
  /** `pod.yaml:1:1`. */
  readonly place: string;
  readonly value: string;
}

/** Returns the annotation of the workloads of a file that have it; none for a file without workloads. Throws WorkloadError. */
export function readAnnotations(file: ObjectFile, key: string): readonly PodAnnotation[] {
  return objectsOf(file).flatMap((object) =>
    templatesOf(object, []).chosen.flatMap((template) => {
      const value = template.get('metadata')?.get('annotations')?.get(key)?.text();
      if (value === undefined) return [];
      const name = (object.in('metadata', 'name') ?? object.in('metadata', 'generateName'))?.text() ?? '';
      return [{ kind: object.required('kind').text(), name, place: object.place, value }];
    }),
  );
}

/**
 * Sets an annotation of the pods of a file's workloads. All other bytes of the text stay as they are. Throws WorkloadError if it has no
 * place of its own in the text: the metadata of the pods or their annotations are an alias or are merged.
 */
export function annotatePods({ file, text }: ObjectFile, options: AnnotationOptions): string {
  const { key, values, templates } = options;
  return editFields(
    { file, text },
    (objects) =>
      objects
        .flatMap((object) => templatesOf(object, templates).chosen)
        .flatMap((field, index) => {
          const value = values[index];
          if (value === undefined) return [];
          const edit = annotationEdit(text, field, key, value);
          return [{ ...edit, field, path: ['metadata', 'annotations', key], value }];
        }),
    ({ field }, path) => noPlace(field, `${path} would change too`),
  );
}

function annotationEdit(text: string, template: Field, key: string, value: string): TextEdit {
  const { document, steps } = template.source;
  let map = steps.length === 0 ? document.contents : document.getIn(steps, true);
  let parent = pairOf(document.contents, steps);
  const path = ['metadata', 'annotations', key];
  for (const [depth, step] of path.entries()) {
    if (!isMap(map))
      throw noPlace(template, `${path.slice(0, depth).join('.') || 'the pod'} is no mapping of its own`);
    const pair = pairWith(map, step);
    if (pair === undefined) return insertion(text, { map, parent, template }, path.slice(depth), value);
    const isLast = depth === path.length - 1;
    if (isLast) return replacement(text, pair, value, template);
    if (isNull(pair.value)) return filled(text, pair, path.slice(depth + 1), value, template);
    parent = pair;
    map = pair.value;
  }
  throw noPlace(template, 'the path of an annotation has an end');
}

/** Returns the pair of a mapping whose value is at the path; undefined: the root, or an element of a list. */
function pairOf(root: unknown, steps: readonly (string | number)[]): Pair | undefined {
  let node = root;
  let found: Pair | undefined;
  for (const step of steps) {
    found = isMap(node) ? pairWith(node, step) : undefined;
    node =
      found === undefined && isNode(node) && 'get' in node ? (node as YAMLMap).get(step, true) : found?.value;
  }
  return found;
}

interface Place {
  readonly map: YAMLMap;
  /** The pair whose value the mapping is. */
  readonly parent: Pair | undefined;
  readonly template: Field;
}

/** Inserts nested keys as the first of a mapping. */
function insertion(
  text: string,
  { map, parent, template }: Place,
  keys: readonly string[],
  value: string,
): TextEdit {
  const [start] = rangeOf(map, template);
  if (map.flow === true) {
    const from = text.indexOf('{', start) + 1;
    return { from, to: from, text: `${flowText(keys, value)}${map.items.length === 0 ? '' : ', '}` };
  }
  const [first] = map.items;
  const [from] = rangeOf(first?.key, template);
  const indent = from - (text.lastIndexOf('\n', from - 1) + 1);
  const lines = keys.map((key, depth) => `${' '.repeat(depth === 0 ? 0 : indent + 2 * depth)}${key}:`);
  const entry = `${lines.join(endOfLine(text))} ${value}${endOfLine(text)}`;
  const above = parent === undefined ? -1 : text.indexOf('\n', rangeOf(parent.key, template)[1]) + 1;
  // Before the comment of the first key, if the mapping begins on a line of its own.
  if (above > 0 && above <= from) return { from: above, to: above, text: `${' '.repeat(indent)}${entry}` };
  return { from, to: from, text: `${entry}${' '.repeat(indent)}` };
}

/** Replaces the value of a key. */
function replacement(text: string, pair: Pair, value: string, template: Field): TextEdit {
  if (isNull(pair.value)) return filled(text, pair, [], value, template);
  const [from, to] = rangeOf(pair.value, template);
  const isQuoted = isScalar(pair.value) && pair.value.type === 'QUOTE_DOUBLE';
  // The text of a block scalar ends with its line.
  const end = text.slice(from, to).endsWith('\n') ? endOfLine(text) : '';
  return { from, to, text: `${isQuoted ? JSON.stringify(value) : value}${end}` };
}

/** Gives a value to a key that has none, or null. */
function filled(text: string, pair: Pair, keys: readonly string[], value: string, template: Field): TextEdit {
  const colon = text.indexOf(':', rangeOf(pair.key, template)[1]) + 1;
  const [from, to] = isNode(pair.value) ? rangeOf(pair.value, template) : [colon, colon];
  const inner = keys.length === 0 ? value : `{${flowText(keys, value)}}`;
  return from === to ? { from: colon, to: colon, text: ` ${inner}` } : { from, to, text: inner };
}

/** `"annotations": {"key": "value"}`, as JSON has it. */
function flowText([key = '', ...others]: readonly string[], value: string): string {
  const inner = others.length === 0 ? JSON.stringify(value) : `{${flowText(others, value)}}`;
  return `${JSON.stringify(key)}: ${inner}`;
}

function isNull(value: unknown): boolean {
  return value === null || (isScalar(value) && value.value === null);
}

function rangeOf(node: unknown, template: Field): Range {
  const range = isNode(node) ? (node as Node).range : undefined;
  if (range === undefined || range === null)
    throw noPlace(template, 'a key of its metadata has no place in the text');
  return range;
}

function endOfLine(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

function noPlace({ place }: Field, why: string): WorkloadError {
  return new WorkloadError(
    place,
    `the pod cannot be annotated: ${why}; write metadata.annotations out for it`,
  );
}
