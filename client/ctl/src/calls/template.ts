import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf';

/**
 * Returns a request with every field at its default, named as in the .proto file, for the user to fill in. Lists and
 * maps of messages have one element that shows their shape; a oneof has only its first member, since two members are
 * invalid.
 */
export function requestTemplate(schema: DescMessage): JsonObject {
  const result: JsonObject = {};
  for (const field of schema.fields) {
    if (field.oneof !== undefined && field.oneof.fields[0] !== field) continue;
    result[field.name] = fieldTemplate(field);
  }
  return result;
}

function fieldTemplate(field: DescField): JsonValue {
  switch (field.fieldKind) {
    case 'message':
      return requestTemplate(field.message);
    case 'list':
      return field.listKind === 'message' ? [requestTemplate(field.message)] : [];
    case 'map':
      return field.mapKind === 'message' ? { name: requestTemplate(field.message) } : {};
    case 'enum':
      return field.enum.values[0]?.name ?? 0;
    case 'scalar':
      return scalarTemplate(field.scalar);
  }
}

function scalarTemplate(scalar: ScalarType): JsonValue {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return '';
    case ScalarType.BOOL:
      return false;
    default:
      return 0;
  }
}
