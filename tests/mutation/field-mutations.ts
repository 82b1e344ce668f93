import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { otherNumbers, otherTexts } from './other-values.js';

/** The kinds of mutation. */
type MutationKind = 'removed' | 'added' | 'value' | 'path' | 'more' | 'less' | 'order';

/** One change of one field of a request. */
export interface Mutation {
  /** By the names of the .proto file: `OCI.Mounts[].source`; map keys in braces. */
  readonly field: string;
  readonly kind: MutationKind;
  /** The new value, and the changed element: for people, and for the reviewed list. */
  readonly detail: string;
  /** Applies the change to a copy of its request. */
  readonly apply: (copy: Message) => void;
}

/** A message's fields by their names in TypeScript. */
type Fields = Record<string, unknown>;

/** Returns the message of a mutation; creates absent ones on the way. */
type Find = (copy: Message) => Fields;

/**
 * Returns every change of every field in the message's schema, set or not. Absent messages are added empty, and with
 * each of their fields set separately.
 */
export function* fieldMutations(schema: DescMessage, message: Message): Generator<Mutation> {
  yield* ofMessage(schema, asFields(message), { prefix: '', inside: '', find: asFields, depth: 0 });
}

interface Place {
  readonly prefix: string;
  /** The elements of lists on the way. */
  readonly inside: string;
  readonly find: Find;
  readonly depth: number;
}

function* ofMessage(schema: DescMessage, current: Fields, place: Place): Generator<Mutation> {
  for (const field of schema.fields) yield* ofField(field, current, place);
}

function* ofField(field: DescField, current: Fields, place: Place): Generator<Mutation> {
  const name = place.prefix + field.name;
  const value = read(field, current);
  const set =
    (to: unknown): Mutation['apply'] =>
    (copy) =>
      write(field, place.find(copy), to);
  const mutation = (kind: MutationKind, detail: string, to: unknown): Mutation => ({
    field: name,
    kind,
    detail: place.inside + detail,
    apply: set(to),
  });
  switch (field.fieldKind) {
    case 'scalar':
      for (const { to, kind } of otherScalars(field.scalar, value))
        yield mutation(isUnset(value) ? 'added' : isUnset(to) ? 'removed' : kind, show(to), to);
      return;
    case 'enum':
      for (const { number } of field.enum.values)
        if (number !== (value ?? 0)) yield mutation('value', String(number), number);
      return;
    case 'message':
      yield* ofPart(field, field.message, value, { ...place, prefix: name }, mutation);
      return;
    case 'map':
      yield* ofMap(asFields(value ?? {}), mutation, name);
      return;
    default:
      yield* ofList(field, (value ?? []) as readonly unknown[], { ...place, prefix: name }, mutation);
  }
}

type Make = (kind: MutationKind, detail: string, to: unknown) => Mutation;

/** Nested messages. The schema bounds the depth: no message contains itself. */
function* ofPart(
  field: DescField,
  schema: DescMessage,
  value: unknown,
  place: Place,
  mutation: Make,
): Generator<Mutation> {
  if (value === undefined) yield mutation('added', 'empty', create(schema));
  else yield mutation('removed', 'absent', undefined);
  yield* ofMessage(schema, asFields(value ?? create(schema)), {
    ...place,
    prefix: `${place.prefix}.`,
    find: (copy) => {
      const owner = place.find(copy);
      const found = read(field, owner);
      if (found !== undefined) return asFields(found);
      const made = create(schema);
      write(field, owner, made);
      return asFields(made);
    },
  });
}

function* ofMap(entries: Fields, mutation: Make, name: string): Generator<Mutation> {
  const keyed = (key: string, made: Mutation): Mutation => ({ ...made, field: `${name}{${key}}` });
  for (const key of ['other', 'io.kubernetes.cri.other', 'kernel.domainname'])
    yield mutation('more', key, { ...entries, [key]: 'x' });
  for (const [key, value] of Object.entries(entries)) {
    const { [key]: _gone, ...others } = entries;
    yield keyed(key, mutation('less', key, others));
    for (const { to } of otherScalars(ScalarType.STRING, value))
      yield keyed(key, mutation('value', show(to), { ...entries, [key]: to }));
  }
}

function* ofList(
  field: DescField,
  list: readonly unknown[],
  place: Place,
  mutation: Make,
): Generator<Mutation> {
  const element = `${place.prefix}[]`;
  if (list.length > 0) yield mutation('removed', 'none', []);
  if (list.length > 1) yield mutation('order', 'reversed', list.toReversed());
  for (const [index, value] of list.entries()) {
    yield mutation('less', `without ${identity(value)}`, list.toSpliced(index, 1));
    yield mutation('more', `twice ${identity(value)}`, [...list, value]);
  }
  for (const { to, detail } of newElements(field, list)) yield mutation('more', detail, [...list, to]);
  if (field.fieldKind === 'list' && field.listKind === 'message') {
    for (const [index, value] of list.entries())
      yield* ofMessage(field.message, asFields(value), {
        ...place,
        prefix: `${element}.`,
        inside: `${place.inside}${identity(value)}: `,
        find: (copy) => asFields((read(field, place.find(copy)) as readonly unknown[])[index]),
      });
  } else if (field.fieldKind === 'list' && field.listKind === 'scalar') {
    for (const [index, value] of list.entries())
      for (const { to, kind } of otherScalars(field.scalar, value)) {
        const made = mutation(
          isUnset(to) ? 'removed' : kind,
          `${identity(value)} to ${show(to)}`,
          list.with(index, to),
        );
        yield { ...made, field: element };
      }
  }
}

/** New elements for a list: empty, with every field set, and as an attacker would add. */
function newElements(
  field: DescField,
  list: readonly unknown[],
): readonly { readonly to: unknown; readonly detail: string }[] {
  if (field.fieldKind !== 'list') return [];
  if (field.listKind === 'scalar')
    return otherScalars(field.scalar, list[0]).map(({ to }) => {
      const against = to === 'rw' && list.includes('ro') ? ' against ro' : '';
      return { to, detail: `also ${show(to)}${against}` };
    });
  if (field.listKind !== 'message') return [];
  const { message } = field;
  const [first] = list;
  return [
    { to: create(message), detail: 'also an empty one' },
    { to: filled(message), detail: 'also a full one' },
    ...(first === undefined
      ? []
      : message.fields
          .filter((each) => each.fieldKind === 'scalar' && each.scalar === ScalarType.STRING)
          .map((each) => ({
            to: { ...asFields(first), [each.localName]: `${String(asFields(first)[each.localName])}x` },
            detail: `also the first with another ${each.name}`,
          }))),
  ];
}

function filled(schema: DescMessage): Message {
  const made = asFields(create(schema));
  for (const field of schema.fields) {
    if (field.fieldKind === 'scalar') write(field, made, otherScalars(field.scalar, undefined)[0]?.to);
    if (field.fieldKind === 'message') write(field, made, filled(field.message));
  }
  return made as unknown as Message;
}

interface OtherValue {
  readonly to: unknown;
  readonly kind: 'value' | 'path';
}

function otherScalars(type: ScalarType, value: unknown): readonly OtherValue[] {
  switch (type) {
    case ScalarType.STRING:
      return otherTexts(typeof value === 'string' ? value : '');
    case ScalarType.BOOL:
      return [{ to: value !== true, kind: 'value' }];
    case ScalarType.BYTES:
      return [
        {
          to: Buffer.concat([(value as Uint8Array | undefined) ?? Buffer.alloc(0), Buffer.from('x')]),
          kind: 'value',
        },
      ];
    default:
      return otherNumbers(type, value);
  }
}

function isUnset(value: unknown): boolean {
  return (
    value === undefined ||
    value === '' ||
    value === 0 ||
    value === 0n ||
    value === false ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

/** Returns the name of a list's element for people. */
function identity(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { destination, mountPoint, Type, containerPath, Path } = value as Fields;
  const named = [destination, mountPoint, containerPath, Type, Path].find((each) => typeof each === 'string');
  return typeof named === 'string' ? named : 'one';
}

function show(value: unknown): string {
  return value instanceof Uint8Array ? `${value.length} bytes` : String(value);
}

function asFields(value: unknown): Fields {
  return value as Fields;
}

function read(field: DescField, owner: Fields): unknown {
  if (field.oneof === undefined) return owner[field.localName];
  const chosen = owner[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

function write(field: DescField, owner: Fields, value: unknown): void {
  if (field.oneof === undefined) owner[field.localName] = value;
  else owner[field.oneof.localName] = { case: field.localName, value };
}
