import { ScalarType } from '@bufbuild/protobuf';

interface OtherValue {
  readonly to: unknown;
  readonly kind: 'value' | 'path';
}

/** Returns other strings; for a path also other paths, for `name=value` also another name and another value. */
export function otherTexts(text: string): readonly OtherValue[] {
  const values = new Set(['', 'x', `${text}x`, text.toUpperCase(), 'CAP_SYS_ADMIN', 'rw', 'shared']);
  if (text.includes('=')) {
    const name = text.slice(0, text.indexOf('='));
    const value = text.slice(text.indexOf('=') + 1);
    for (const other of [`${name}=`, `${name}=/tmp/x`, `X${name}=${value}`, `LD_PRELOAD=${value}`])
      values.add(other);
  }
  if (/^\d+$/.test(text)) values.add(String(Number(text) + 1));
  const paths = new Set<string>(['/etc', '/']);
  if (text.startsWith('/')) {
    const above = text.slice(0, text.lastIndexOf('/'));
    for (const other of [
      `${text}/..`,
      `${text}/below`,
      `${above}/other`,
      `${text}/../../etc`,
      `/proc/self/root${text}`,
      `/${text}`,
    ])
      paths.add(other);
    for (const place of ['shared/containers/other', 'sandbox/shm', 'sandbox/ephemeral/other', 'other/rootfs'])
      paths.add(`/run/kata-containers/${place}`);
  }
  const kinds = [
    ...[...values].map((to) => ({ to, kind: 'value' as const })),
    ...[...paths].map((to) => ({ to, kind: 'path' as const })),
  ];
  return kinds.filter(({ to }) => to !== text);
}

const wide: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
const unsigned: ReadonlySet<ScalarType> = new Set([ScalarType.UINT32, ScalarType.UINT64, ScalarType.FIXED32]);

/** Returns 0, 1, the next number, a system user's, a large one, and a negative one if the type allows it. */
export function otherNumbers(type: ScalarType, value: unknown): readonly OtherValue[] {
  const now = Number(value ?? 0);
  const all = new Set([0, 1, 6, 999, 1000, now + 1, 2 ** 31 - 1, ...(unsigned.has(type) ? [] : [-1, -1000])]);
  all.delete(now);
  return [...all].map((number) => ({ to: wide.has(type) ? BigInt(number) : number, kind: 'value' }));
}
