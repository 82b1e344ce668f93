import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { entrypointFunction } from '../compile/entrypoint-call.js';
import { ruleFunctions } from '../functions/functions.js';
import { hasMacro, type ListedFunction, loopMacros, matchesFunction } from '../functions/macros.js';
import { fieldNames, fieldOf } from '../language/field.js';
import { ruleLimits } from '../language/limits.js';
import { comparable, show, string, type Type } from '../language/type.js';
import { ruleNames } from '../names/rule-names.js';
import { EditedExpression } from './scope.js';

/** A rule while it is edited. */
export interface EditedRule {
  /** It can be incomplete. */
  readonly expression: string;
  /** The methods of its endpoints; empty: not known yet, so any. */
  readonly methods: readonly MethodName[];
}

/** Something that an expression can name, for an editor. */
export interface NamedPart {
  readonly name: string;
  readonly kind: 'name' | 'variable' | 'field' | 'function' | 'macro' | 'value';
  /** Its type as in messages, such as `list(string)`; the form of a function. */
  readonly type: string;
  readonly doc?: string;
  /** The methods that have it, if not all of the rule's do. */
  readonly onlyOf?: readonly MethodName[];
}

/** What can be written at a position. Offsets are UTF-16 units of the expression; the parts replace `[start, end)`. */
export interface Completions {
  readonly start: number;
  readonly end: number;
  readonly parts: readonly NamedPart[];
}

/** Returns what can be written at an offset: names and functions, or after a dot the fields and methods of what is before it. */
export function completeExpression(rule: EditedRule, offset: number): Completions {
  const nothing = { start: offset, end: offset, parts: [] };
  if (rule.expression.length > ruleLimits.source) return nothing;
  const edited = new EditedExpression(rule.expression);
  const { tokens } = edited;
  const inside = tokens.findIndex(({ start, end }) => start < offset && offset <= end);
  const word = tokens[inside]?.kind === 'word' ? tokens[inside] : undefined;
  const inText = tokens[inside]?.kind === 'text' && offset < (tokens[inside]?.end ?? 0);
  if (inText) return { ...nothing, ...comparedValues(edited, inside, rule) };
  if (edited.inComment(offset) || tokens[inside]?.kind === 'number') return nothing;
  const following = tokens.findIndex(({ start }) => start >= offset);
  const index = word === undefined ? (following === -1 ? tokens.length : following) : inside;
  const range = { start: word?.start ?? offset, end: word?.end ?? offset };
  return {
    ...range,
    parts: edited.text(index - 1) === '.' ? members(edited, index - 1, rule) : names(edited, index, rule),
  };
}

/** Describes the name, field, function or macro at an offset; undefined if there is none that the language knows. */
export function describeExpression(
  rule: EditedRule,
  offset: number,
): { readonly start: number; readonly end: number; readonly part: NamedPart } | undefined {
  if (rule.expression.length > ruleLimits.source) return undefined;
  const edited = new EditedExpression(rule.expression);
  const index = edited.tokens.findIndex(({ start, end }) => start <= offset && offset < end);
  const token = edited.tokens[index];
  if (token?.kind !== 'word') return undefined;
  const known =
    edited.text(index - 1) === '.' ? members(edited, index - 1, rule) : names(edited, index, rule);
  const isCall = edited.text(index + 1) === '(';
  const named = known.filter(({ name }) => name === edited.text(index));
  const part = named.find((each) => isCalled(each) === isCall) ?? named[0];
  return part === undefined ? undefined : { start: token.start, end: token.end, part };
}

function names(edited: EditedExpression, index: number, rule: EditedRule): readonly NamedPart[] {
  const methods = methodsOf(rule);
  const variables = ofMethods(methods, (method) =>
    edited.localsAt(index, method).map(({ name, type }) => ({ name, kind: 'variable', type: show(type) })),
  );
  const named = ofMethods(methods, (method) =>
    ruleNames
      .filter((row) => row.methods.includes(method))
      .map((row) => ({ name: row.name, kind: 'name', type: show(row.typeFor(method)), doc: row.doc })),
  );
  const functions = ruleFunctions.filter(({ overloads }) =>
    overloads.some(({ style }) => style === 'function'),
  );
  return [
    ...variables,
    ...named,
    ...[hasMacro].map((row) => listed(row, 'macro')),
    ...[...functions, ...(methods.includes('CreateContainer') ? [entrypointFunction] : [])].map((row) =>
      listed(row, 'function'),
    ),
  ];
}

function members(edited: EditedExpression, dot: number, rule: EditedRule): readonly NamedPart[] {
  return ofMethods(methodsOf(rule), (method) => {
    const owner = edited.operandType(dot, method);
    return owner === undefined ? [] : [...fieldsOf(owner), ...functionsOf(owner)];
  });
}

function fieldsOf(owner: Type): readonly NamedPart[] {
  return fieldNames(owner).flatMap((name) => {
    const field = fieldOf(owner, name);
    if (field === undefined) return [];
    const { doc, optional = false } = (owner.kind === 'record' ? owner.fields.get(name) : undefined) ?? {};
    return [
      {
        name,
        kind: 'field',
        type: show(field.type),
        ...(doc === undefined ? {} : { doc: `${doc}${optional ? ' Optional: ask with has().' : ''}` }),
      },
    ];
  });
}

function functionsOf(owner: Type): readonly NamedPart[] {
  const methods = ruleFunctions.filter(({ overloads }) =>
    overloads.some(({ style, parameters: [receiver] }) => {
      return style === 'method' && receiver !== undefined && comparable(receiver, owner);
    }),
  );
  // Of lists and maps it has no overload.
  const size = ruleFunctions.filter(
    ({ name }) => name === 'size' && !methods.some((row) => row.name === name),
  );
  const hasItems = owner.kind === 'list' || owner.kind === 'map';
  return [
    ...[...methods, ...(hasItems ? size : []), ...(comparable(string, owner) ? [matchesFunction] : [])].map(
      (row) => listed(row, 'function'),
    ),
    ...(hasItems ? loopMacros : []).map((row) => listed(row, 'macro')),
  ];
}

/** Returns the values that a text can have which is compared with a name or field of few values. */
function comparedValues(edited: EditedExpression, index: number, rule: EditedRule): Partial<Completions> {
  const operator = edited.text(index - 1);
  const token = edited.tokens[index];
  if (token === undefined || (operator !== '==' && operator !== '!=')) return {};
  const parts = ofMethods(methodsOf(rule), (method) => {
    const type = edited.operandType(index - 1, method);
    const among = type?.kind === 'string' ? (type.among ?? []) : [];
    return among.map((name) => ({ name, kind: 'value', type: 'string' }));
  });
  return { start: token.start + 1, end: token.end - 1, parts };
}

function listed({ name, form, doc }: ListedFunction, kind: NamedPart['kind']): NamedPart {
  return { name, kind, type: form, doc };
}

function methodsOf({ methods }: EditedRule): readonly MethodName[] {
  return methods.length === 0 ? methodNames : methods;
}

function isCalled({ kind }: NamedPart): boolean {
  return kind === 'function' || kind === 'macro';
}

/** More types of one name, such as `request` of all methods, are not listed. */
const maxTypes = 3;

/** Returns the parts that any of the methods has, each once, with the methods if they are not all. */
function ofMethods(
  methods: readonly MethodName[],
  partsFor: (method: MethodName) => readonly NamedPart[],
): readonly NamedPart[] {
  const found = new Map<
    string,
    { readonly part: NamedPart; readonly types: Set<string>; readonly of: MethodName[] }
  >();
  for (const method of methods)
    for (const part of partsFor(method)) {
      const key = `${isCalled(part) ? '()' : ''}${part.name}`;
      const known = found.get(key) ?? { part, types: new Set(), of: [] };
      found.set(key, known);
      known.types.add(part.type);
      known.of.push(method);
    }
  return [...found.values()].map(({ part, types, of }) => ({
    ...part,
    type: types.size > maxTypes ? `${types.size} types` : [...types].join(' or '),
    ...(of.length === methods.length ? {} : { onlyOf: of }),
  }));
}
