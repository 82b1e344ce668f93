import {
  create,
  type DescField,
  type DescMessage,
  isFieldSet,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { type FieldValues, type Frame, RuleError, type Value } from './compiled.js';
import { bool, bytes, int, listOf, mapOf, string, type Type, uint } from './type.js';

/** A field of a message, record or map: its type and accessor. */
export interface Field {
  readonly type: Type;
  /** @throws RuleError when it is absent | BudgetExceeded */
  read(owner: Value, frame: Frame): Value;
  isSet(owner: Value): boolean;
}

/** Returns the field with this name; undefined when the type has none. */
export function fieldOf(type: Type, name: string): Field | undefined {
  switch (type.kind) {
    case 'message': {
      const field = type.message.fields.find((candidate) => candidate.name === name);
      return field && messageField(field);
    }
    case 'record': {
      const field = type.fields.get(name);
      return field && recordField(type.name, name, field.type);
    }
    case 'map':
      return type.key.kind === 'string' ? mapEntry(name, type.value) : undefined;
    default:
      return undefined;
  }
}

/** Returns the names of a type's fields, for suggestions. */
export function fieldNames(type: Type): readonly string[] {
  if (type.kind === 'message') return type.message.fields.map(({ name }) => name);
  return type.kind === 'record' ? [...type.fields.keys()] : [];
}

/** Returns the type of a message's field in rules. */
export function typeOfField(field: DescField): Type {
  switch (field.fieldKind) {
    case 'scalar':
      return typeOfScalar(field.scalar);
    case 'enum':
      return int;
    case 'message':
      return { kind: 'message', message: field.message };
    case 'list':
      return listOf(typeOfElement(field.listKind === 'scalar' ? field.scalar : undefined, field.message));
    case 'map':
      return mapOf(
        typeOfScalar(field.mapKey),
        typeOfElement(field.mapKind === 'scalar' ? field.scalar : undefined, field.message),
      );
  }
}

function typeOfElement(scalar: ScalarType | undefined, message: DescMessage | undefined): Type {
  if (message !== undefined) return { kind: 'message', message };
  return scalar === undefined ? int : typeOfScalar(scalar);
}

function typeOfScalar(scalar: ScalarType): Type {
  switch (scalar) {
    case ScalarType.BOOL:
      return bool;
    case ScalarType.STRING:
      return string;
    case ScalarType.BYTES:
      return bytes;
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
      return uint;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      throw new TypeError('no request has a fractional number, and rules have none');
    default:
      return int;
  }
}

function messageField(field: DescField): Field {
  return {
    type: typeOfField(field),
    read: readerOf(field),
    isSet: (owner) => isFieldSet(owner as Message, field),
  };
}

function readerOf(field: DescField): Field['read'] {
  const raw = rawReader(field);
  switch (field.fieldKind) {
    case 'scalar':
      return typeof zeroOf(field.scalar) === 'bigint'
        ? (owner) => BigInt((raw(owner) ?? 0) as bigint | number)
        : (owner) => (raw(owner) ?? zeroOf(field.scalar)) as Value;
    case 'enum':
      return (owner) => BigInt((raw(owner) ?? 0) as number);
    case 'message': {
      const absent = create(field.message);
      return (owner) => (raw(owner) ?? absent) as Message;
    }
    case 'list': {
      const numeric = field.listKind === 'enum' || (field.listKind === 'scalar' && isNumeric(field.scalar));
      if (!numeric) return (owner) => raw(owner) as readonly Value[];
      return (owner, frame) => {
        const items = raw(owner) as readonly (number | bigint)[];
        frame.spend(items.length);
        return items.map(BigInt);
      };
    }
    case 'map':
      return (owner, frame) => {
        const entries = Object.entries(raw(owner) as Record<string, Value>);
        frame.spend(entries.length);
        return new Map(entries);
      };
  }
}

function rawReader(field: DescField): (owner: Value) => unknown {
  const name = field.localName;
  const group = field.oneof;
  // An `optional` field of the .proto is a oneof on the wire only.
  if (group === undefined) return (owner) => (owner as unknown as Record<string, unknown>)[name];
  return (owner) => {
    const chosen = (owner as unknown as Record<string, { case?: string; value?: unknown }>)[group.localName];
    return chosen?.case === name ? chosen.value : undefined;
  };
}

function isNumeric(scalar: ScalarType): boolean {
  return typeof zeroOf(scalar) === 'bigint';
}

function zeroOf(scalar: ScalarType): Value {
  switch (scalar) {
    case ScalarType.BOOL:
      return false;
    case ScalarType.STRING:
      return '';
    case ScalarType.BYTES:
      return new Uint8Array();
    default:
      return 0n;
  }
}

function recordField(owner: string, name: string, type: Type): Field {
  return {
    type,
    read(record) {
      const value = (record as FieldValues)[name];
      if (value === undefined) throw new RuleError(`this ${owner} has no ${name}`);
      return value;
    },
    isSet: (record) => (record as FieldValues)[name] !== undefined,
  };
}

function mapEntry(name: string, type: Type): Field {
  return {
    type,
    read(map) {
      const value = (map as ReadonlyMap<Value, Value>).get(name);
      if (value === undefined) throw new RuleError(`the map has no ${JSON.stringify(name)}`);
      return value;
    },
    isSet: (map) => (map as ReadonlyMap<Value, Value>).has(name),
  };
}
