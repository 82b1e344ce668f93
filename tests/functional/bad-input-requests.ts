import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import * as fc from 'fast-check';

/** Invalid identifiers, paths, names, options and addresses. */
const hostileTexts: readonly string[] = [
  '',
  '.',
  '..',
  '/',
  '-rf',
  'nobody',
  'a b',
  'a;b',
  'a:b',
  'a\nb',
  '\u0000',
  '\u0430gent',
  '%s%n',
  '$(id)',
  'shared',
  'sandbox',
  'x'.repeat(129),
  'x'.repeat(5_000),
  '/etc/passwd',
  '/proc/self/mem',
  '/proc/1/root/etc/passwd',
  '/dev/nothing',
  '../../../etc/passwd',
  '/run/kata-agent',
  '/run/kata-containers',
  '/run/kata-containers/../../etc/passwd',
  '/run/kata-containers/shared/containers/../../../../etc/passwd',
  '/run/kata-containers/shared/containers/escape/passwd',
  '/run/kata-containers/nothing',
  'ffff::1::2',
  '999.1.1.1',
  '0000:00:1f.9',
  'ff/ff/ff',
  'lowerdir=/etc',
  'exec,suid,dev,loop=/dev/sda',
  'overlayfs',
  'bind',
];

/** Returns a message whose fields are absent, hostile, or too large. */
export function hostileMessage(schema: DescMessage, depth: number = 4): fc.Arbitrary<Message> {
  const fields = Object.fromEntries(
    schema.fields.map((field) => [field.localName, hostileField(field, depth)]),
  );
  return fc
    .record(fields, { requiredKeys: [] })
    .map((values) => create(schema, withoutOneofs(schema, values) as never));
}

function hostileField(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case 'scalar':
      return hostileScalar(field.scalar, field.name);
    case 'enum':
      return fc.constantFrom(0, 1, 99, -1);
    case 'message':
      return depth === 0 ? fc.constant(undefined) : hostileMessage(field.message, depth - 1);
    case 'map':
      return fc.dictionary(
        text,
        field.mapKind === 'scalar' ? hostileScalar(field.scalar, '') : fc.constant(0),
        {
          maxKeys: 2,
          noNullPrototype: true,
        },
      );
    case 'list':
      return fc.array(hostileElement(field, depth), { maxLength: 3 });
  }
}

function hostileElement(
  field: DescField & { readonly fieldKind: 'list' },
  depth: number,
): fc.Arbitrary<unknown> {
  if (field.listKind === 'scalar') return hostileScalar(field.scalar, field.name);
  if (field.listKind === 'enum') return fc.constantFrom(0, 1, 99);
  return hostileMessage(field.message, Math.max(0, depth - 1));
}

const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...hostileTexts) },
  { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
);

function hostileScalar(scalar: ScalarType, name: string): fc.Arbitrary<unknown> {
  // No seconds for SetGuestDateTime: the clock is the machine's.
  if (name === 'Sec') return fc.constantFrom(0n, -1n, -(2n ** 63n), 2n ** 63n - 1n, 9_223_372_037n);
  switch (scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 100 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT32:
    case ScalarType.SINT32:
      return fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31));
    case ScalarType.UINT32:
      return fc.constantFrom(0, 1, 65, 0o120777, 2 ** 31, 2 ** 32 - 1);
    case ScalarType.INT64:
    case ScalarType.SINT64:
      return fc.constantFrom(0n, 1n, -1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n));
    case ScalarType.UINT64:
      return fc.constantFrom(0n, 1n, 2n ** 53n, 2n ** 64n - 1n);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY);
    default:
      return fc.constant(0);
  }
}

/** Members of a oneof are given as one value of it. */
function withoutOneofs(
  schema: DescMessage,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const ofOneof = new Set(schema.oneofs.flatMap(({ fields }) => fields.map(({ localName }) => localName)));
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !ofOneof.has(name) && value !== undefined),
  );
}
