import { type DescField, type DescMessage, equals, type Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';

/**
 * Returns the first field of a request that the message built from it does not have in the same way: `OCI.Solaris`. Undefined:
 * both say the same. A field that no form reads is found here, also one of a later release.
 */
export function difference(descriptor: DescMessage, request: Message, built: Message): string | undefined {
  if (equals(descriptor, request, built)) return undefined;
  return found(reflect(descriptor, request), reflect(descriptor, built)) ?? descriptor.name;
}

function found(request: ReflectMessage, built: ReflectMessage): string | undefined {
  for (const field of request.fields) {
    const inner = differsIn(field, request, built);
    if (inner !== undefined) return inner === '' ? field.name : `${field.name}${inner}`;
  }
  return undefined;
}

/** Returns what follows the field's name; empty: nothing; undefined: the field is the same. */
function differsIn(field: DescField, request: ReflectMessage, built: ReflectMessage): string | undefined {
  if (request.isSet(field) !== built.isSet(field)) return '';
  if (field.fieldKind === 'message' && request.isSet(field)) {
    const inner = found(request.get(field), built.get(field));
    return inner === undefined ? undefined : `.${inner}`;
  }
  if (field.fieldKind === 'list') {
    const [all, others] = [[...request.get(field)], [...built.get(field)]];
    if (all.length !== others.length) return '';
    const at = all.findIndex((one, index) => !same(one, others[index]));
    return at < 0 ? undefined : `[${at}]`;
  }
  if (field.fieldKind === 'map') {
    const [all, others] = [new Map(request.get(field)), new Map(built.get(field))];
    return all.size === others.size && [...all].every(([key, value]) => same(value, others.get(key)))
      ? undefined
      : '';
  }
  return same(request.get(field), built.get(field)) ? undefined : '';
}

function same(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.from(one).equals(other);
  if (isReflected(one) && isReflected(other)) return found(one, other) === undefined;
  return Object.is(one, other);
}

function isReflected(value: unknown): value is ReflectMessage {
  return typeof value === 'object' && value !== null && 'fields' in value;
}
