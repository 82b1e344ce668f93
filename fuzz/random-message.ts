import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';

import type { Random } from './random.js';

const maxDepth = 4;

/** Returns a message with some of its fields set, to a depth of four. */
export function randomMessage(random: Random, descriptor: DescMessage, depth = 0): Message {
  const message = create(descriptor);
  const reflected = reflect(descriptor, message);
  for (const field of descriptor.fields) {
    if (!random.once(depth === 0 ? 2 : 3)) continue;
    switch (field.fieldKind) {
      case 'scalar':
        reflected.set(field, scalar(random, field.scalar));
        break;
      case 'enum':
        reflected.set(field, random.below(4));
        break;
      case 'message':
        if (depth < maxDepth) {
          reflected.set(field, reflect(field.message, randomMessage(random, field.message, depth + 1)));
        }
        break;
      case 'list':
        for (let count = random.below(4); count > 0; count -= 1) {
          const item = element(random, field, depth);
          if (item !== undefined) reflected.get(field).add(item);
        }
        break;
      case 'map':
        if (field.mapKind === 'scalar' && field.mapKey === ScalarType.STRING) {
          reflected.get(field).set(word(random), scalar(random, field.scalar));
        }
        break;
    }
  }
  return message;
}

function element(random: Random, field: DescField & { fieldKind: 'list' }, depth: number): unknown {
  if (field.listKind === 'scalar') return scalar(random, field.scalar);
  if (field.listKind === 'enum') return random.below(4);
  if (depth >= maxDepth) return undefined;
  return reflect(field.message, randomMessage(random, field.message, depth + 1));
}

function scalar(random: Random, type: ScalarType): string | boolean | number | bigint | Uint8Array {
  switch (type) {
    case ScalarType.STRING:
      return word(random);
    case ScalarType.BYTES:
      return random.bytes(random.below(12));
    case ScalarType.BOOL:
      return random.once(2);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return BigInt(random.bits() | 0);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt(random.bits());
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.bits();
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return random.below(1000) / 8;
    default:
      return random.bits() | 0;
  }
}

function word(random: Random): string {
  return random.pick(['', 'a', '/run/kata-containers', 'häuser', 'x'.repeat(random.below(40)), '..', 'c1']);
}
