import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { AgentService } from '@kata-agent/protocol/agent';
import { showType, type Type } from '@kata-agent/gate/rules';
import { code } from '../markdown.js';

/** The request message of each method, in the order of the .proto file. */
export const requests: ReadonlyMap<string, DescMessage> = new Map(
  AgentService.methods.map(({ name, input }) => [name, input]),
);

/** Messages that are fields of requests, each once, outer ones first. */
export function innerMessages(): readonly DescMessage[] {
  const found = new Set<DescMessage>(requests.values());
  // A Set is iterated in insertion order, including elements that are added during the iteration.
  for (const message of found)
    for (const field of message.fields) {
      const inner = innerMessage(field);
      if (inner !== undefined) found.add(inner);
    }
  const outer = new Set(requests.values());
  return [...found].filter((message) => !outer.has(message));
}

/** Returns the fields of a message as table rows: name, type. */
export function fieldRows(message: DescMessage): readonly (readonly [string, string])[] {
  return message.fields.map((field) => [code(field.name), fieldType(field)]);
}

/** Returns the type of a name, with a link if it is a message. */
export function typeText(type: Type): string {
  switch (type.kind) {
    case 'message':
      return link(type.message);
    case 'list':
      return `list of ${typeText(type.element)}`;
    case 'map':
      return `map from ${typeText(type.key)} to ${typeText(type.value)}`;
    default:
      return showType(type);
  }
}

function fieldType(field: DescField): string {
  switch (field.fieldKind) {
    case 'list':
      return `list of ${elementType(field)}`;
    case 'map':
      return `map from ${scalarName(field.mapKey)} to ${elementType(field)}`;
    default:
      return elementType(field);
  }
}

function elementType(field: DescField): string {
  const message = innerMessage(field);
  if (message !== undefined) return link(message);
  if (field.enum !== undefined) {
    const values = field.enum.values.map(({ name, number }) => `${number} ${name}`);
    return `int (${values.join(', ')})`;
  }
  return field.scalar === undefined ? 'message' : scalarName(field.scalar);
}

function innerMessage(field: DescField): DescMessage | undefined {
  return field.message;
}

/** CEL has one signed and one unsigned integer type. */
function scalarName(scalar: ScalarType): string {
  switch (scalar) {
    case ScalarType.BOOL:
      return 'bool';
    case ScalarType.STRING:
      return 'string';
    case ScalarType.BYTES:
      return 'bytes';
    case ScalarType.UINT32:
    case ScalarType.UINT64:
      return 'uint';
    case ScalarType.INT32:
    case ScalarType.INT64:
      return 'int';
    default:
      throw new TypeError(`the field type ${ScalarType[scalar]} is not supported: no request used it before`);
  }
}

function link(message: DescMessage): string {
  return `[${message.name}](#${message.name.toLowerCase()})`;
}
