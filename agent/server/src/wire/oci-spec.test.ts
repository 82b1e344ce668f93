import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { SpecSchema } from '@kata-agent/protocol/oci';
import { ociSpec } from './oci-spec.js';

/** Messages that no Linux agent uses. */
const left = new Set(['grpc.Solaris', 'grpc.Windows']);

/** Returns a message with a distinct value in each of its fields; `values` collects them. */
function filled(descriptor: DescMessage, values: unknown[]): Message {
  let count = values.length;
  const scalar = (type: ScalarType): unknown => {
    count = values.length + 1_000;
    const value = scalarValue(type, count);
    values.push(value);
    return value;
  };
  const one = (field: DescField): unknown => {
    if (field.fieldKind === 'message') return filled(field.message, values);
    if (field.fieldKind === 'scalar') return scalar(field.scalar);
    if (field.fieldKind === 'list')
      return [
        field.listKind === 'message'
          ? filled(field.message, values)
          : scalar(field.listKind === 'scalar' ? field.scalar : ScalarType.INT32),
      ];
    if (field.fieldKind === 'map') return { [String(scalar(ScalarType.STRING))]: scalar(ScalarType.STRING) };
    throw new Error(`no value for ${field.fieldKind}`);
  };
  const init: Record<string, unknown> = {};
  for (const field of descriptor.fields) {
    if (field.fieldKind === 'message' && left.has(field.message.typeName)) continue;
    if (field.oneof === undefined) init[field.localName] = one(field);
    else init[field.oneof.localName] = { case: field.localName, value: one(field) };
  }
  return create(descriptor, init);
}

function scalarValue(type: ScalarType, count: number): unknown {
  if (type === ScalarType.STRING) return `text-${count}`;
  if (type === ScalarType.BOOL) return true;
  if (type === ScalarType.INT64 || type === ScalarType.UINT64) return BigInt(count);
  return count;
}

/** Returns all leaves of a value, map keys included, as text. */
function leaves(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(leaves);
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, item]) => [key, ...leaves(item)]);
  return [String(value)];
}

describe('ociSpec', () => {
  it('keeps every field of the wire’s specification', () => {
    const values: unknown[] = [];
    const spec = filled(SpecSchema, values);
    const found = new Set(leaves(ociSpec(spec as Parameters<typeof ociSpec>[0])));
    assert.ok(values.length > 90, `${values.length} values`);
    assert.deepEqual(
      values.filter((value) => !found.has(String(value))),
      [],
    );
  });

  it('converts an empty message into a container without settings', () => {
    const spec = ociSpec(create(SpecSchema));
    assert.equal(spec.ociVersion, '1.0.2');
    assert.equal(spec.process, undefined);
    assert.equal(spec.hooks, undefined);
  });

  it('treats errno 0 of Rust clients as absent', () => {
    const values = [0, 38].map((value) => ({ Names: ['x'], ErrnoRet: { case: 'errnoret', value } as const }));
    const spec = ociSpec(
      create(SpecSchema, { Linux: { Seccomp: { Syscalls: [...values, { Names: ['y'] }] } } }),
    );
    const { syscalls = [] } = spec.linux?.seccomp ?? {};
    assert.deepEqual(
      syscalls.map(({ errnoRet }) => errnoRet),
      [undefined, 38, undefined],
    );
  });

  it('treats a device rule for 0:0 as one without numbers, which the wire cannot omit', () => {
    const numbers = [
      [0n, 0n],
      [136n, 0n],
      [0n, 3n],
      [-1n, -1n],
    ] as const;
    const Devices = numbers.map(([Major, Minor]) => ({ Allow: true, Major, Minor }));
    const spec = ociSpec(create(SpecSchema, { Linux: { Resources: { Devices } } }));
    assert.deepEqual(
      spec.linux?.resources?.devices?.map(({ major, minor }) => [major, minor]),
      [
        [undefined, undefined],
        [136, 0],
        [0, 3],
        [-1, -1],
      ],
    );
  });

  it('always sets the OOM score, so that the agent’s own is not inherited', () => {
    const spec = ociSpec(create(SpecSchema, { Process: { Args: ['true'] } }));
    assert.equal(spec.process?.oomScoreAdj, 0);
  });
});
