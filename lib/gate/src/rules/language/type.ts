import type { DescMessage } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';

export type ScalarName = 'bool' | 'int' | 'uint' | 'string' | 'bytes';

/** The static type of a value. */
export type Type =
  | { readonly kind: Exclude<ScalarName, 'string'> }
  /** `among`: the only possible values. */
  | { readonly kind: 'string'; readonly among?: readonly string[] }
  | { readonly kind: 'list'; readonly element: Type }
  | { readonly kind: 'map'; readonly key: Type; readonly value: Type }
  | { readonly kind: 'message'; readonly message: DescMessage }
  | { readonly kind: 'record'; readonly name: string; readonly fields: ReadonlyMap<string, RecordField> }
  /** The element type of `[]`, and the type of a faulty part, so that one mistake gives one message. */
  | { readonly kind: 'nothing' };

/** A field of a value that is not a message: `container.state`. */
export interface RecordField {
  readonly type: Type;
  /** May be absent; reading it then is an error, which denies. */
  readonly optional?: boolean;
  /** The methods for which it is state of the guest, and not part of the request; absent: none. */
  readonly ofGuest?: readonly MethodName[];
  readonly doc: string;
}

export const bool: Type = { kind: 'bool' };
export const int: Type = { kind: 'int' };
export const uint: Type = { kind: 'uint' };
export const string: Type = { kind: 'string' };
export const bytes: Type = { kind: 'bytes' };
export const nothing: Type = { kind: 'nothing' };

export function listOf(element: Type): Type {
  return { kind: 'list', element };
}

export function mapOf(key: Type, value: Type): Type {
  return { kind: 'map', key, value };
}

/** Formats a type for messages: `list(string)`. */
export function show(type: Type): string {
  switch (type.kind) {
    case 'list':
      return `list(${show(type.element)})`;
    case 'map':
      return `map(${show(type.key)}, ${show(type.value)})`;
    case 'message':
      return type.message.name;
    case 'record':
      return type.name;
    case 'nothing':
      return '?';
    default:
      return type.kind;
  }
}

export function isNumber(type: Type): boolean {
  return type.kind === 'int' || type.kind === 'uint';
}

/** Returns the common type of two types; undefined when no value has both. */
export function common(left: Type, right: Type): Type | undefined {
  if (left.kind === 'nothing') return right;
  if (right.kind === 'nothing') return left;
  if (left.kind === 'list' && right.kind === 'list') {
    const element = common(left.element, right.element);
    return element && listOf(element);
  }
  if (left.kind === 'map' && right.kind === 'map') {
    const key = common(left.key, right.key);
    const value = common(left.value, right.value);
    return key && value && mapOf(key, value);
  }
  if (left.kind === 'message' && right.kind === 'message')
    return left.message.typeName === right.message.typeName ? left : undefined;
  if (left.kind === 'record' && right.kind === 'record') return left.name === right.name ? left : undefined;
  if (left.kind === 'string' && right.kind === 'string') return commonString(left, right);
  return left.kind === right.kind ? left : undefined;
}

/** Reports whether values of two types can be compared with `==`; numbers of both kinds can, by value. */
export function comparable(left: Type, right: Type): boolean {
  if (isNumber(left) && isNumber(right)) return true;
  if (left.kind === 'list' && right.kind === 'list') return comparable(left.element, right.element);
  if (left.kind === 'map' && right.kind === 'map')
    return comparable(left.key, right.key) && comparable(left.value, right.value);
  return common(left, right) !== undefined;
}

/** Reports whether values of the type support equality: messages and records are compared by their fields instead. */
export function hasEquality(type: Type): boolean {
  switch (type.kind) {
    case 'list':
      return hasEquality(type.element);
    case 'map':
      return hasEquality(type.value);
    case 'message':
    case 'record':
      return false;
    default:
      return true;
  }
}

function commonString(left: Type & { kind: 'string' }, right: Type & { kind: 'string' }): Type {
  if (left.among === undefined || right.among === undefined) return string;
  return { kind: 'string', among: [...new Set([...left.among, ...right.among])] };
}
