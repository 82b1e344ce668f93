import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf';

/**
 * A request with each of its fields, by the .proto's names, at its default: to be filled in. A list or map of
 * messages has one element, so that its shape can be seen; of a oneof, the first member stands for all, since JSON
 * with two would be refused.
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
