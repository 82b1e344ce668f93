import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';

/** Returns the value of a text field; undefined: a text that is different for each field. */
export type TextOf = (field: DescField) => string | undefined;

/** Returns a message with every field set, of messages inside it too; of a oneof the last one. */
export function fullMessage(descriptor: DescMessage, textOf: TextOf = () => undefined, depth = 0): Message {
  if (depth > 12) throw new Error(`${descriptor.typeName} contains itself`);
  const message = create(descriptor);
  const reflected = reflect(descriptor, message);
  const inner = (inside: DescMessage) => reflect(inside, fullMessage(inside, textOf, depth + 1));
  for (const field of descriptor.fields) {
    switch (field.fieldKind) {
      case 'scalar':
        reflected.set(field, scalarOf(field, field.scalar, textOf));
        break;
      case 'enum':
        reflected.set(field, 1);
        break;
      case 'message':
        reflected.set(field, inner(field.message));
        break;
      case 'list':
        if (field.listKind === 'message') reflected.get(field).add(inner(field.message));
        else reflected.get(field).add(field.listKind === 'enum' ? 1 : scalarOf(field, field.scalar, textOf));
        break;
      case 'map':
        reflected
          .get(field)
          .set(
            'key',
            field.mapKind === 'message' ? inner(field.message) : scalarOf(field, mapScalar(field), textOf),
          );
        break;
    }
  }
  return message;
}

function mapScalar(field: DescField & { fieldKind: 'map' }): ScalarType {
  return field.mapKind === 'scalar' ? field.scalar : ScalarType.INT32;
}

function scalarOf(
  field: DescField,
  type: ScalarType,
  textOf: TextOf,
): string | boolean | number | bigint | Uint8Array {
  switch (type) {
    case ScalarType.STRING:
      return textOf(field) ?? `text of ${field.name}`;
    case ScalarType.BYTES:
      return Buffer.from(`bytes of ${field.name}`);
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return BigInt(field.number) + 2n ** 40n;
    default:
      return field.number + 300;
  }
}
