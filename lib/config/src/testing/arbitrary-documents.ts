import { type MethodName, methodNames, releases } from '@kata-agent/catalogue';
import * as fc from 'fast-check';
import type { ApiDocument, EndpointLists, ListEntry } from '../configuration.js';

// Arbitrary documents for property tests, also of the gate.

const methods: fc.Arbitrary<MethodName[]> = fc.subarray([...methodNames]);

function listOf(names: readonly MethodName[]): ReadonlyMap<MethodName, ListEntry> {
  const span = { file: 'f', line: 1, column: 1, endColumn: 2 };
  return new Map(names.map((name) => [name, { entry: name, span }]));
}

const pair = { allowed: methods.map(listOf), blocked: methods.map(listOf) };
const lists: fc.Arbitrary<EndpointLists> = fc.record(pair, { requiredKeys: [] });

const listeners = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c'), lists), { maxLength: 2 })
  .map((entries) => new Map(entries));

/** Documents that may have lists of the listeners `a`, `b` and `c`. */
export const document: fc.Arbitrary<ApiDocument> = fc.record(
  {
    file: fc.constant('f'),
    rules: fc.constant([]),
    listeners,
    release: fc.constantFrom(...releases),
    ...pair,
  },
  { requiredKeys: ['file', 'rules', 'listeners'] },
);

/** The methods that a program contains; undefined: all. */
export const builtIn: fc.Arbitrary<ReadonlySet<MethodName> | undefined> = fc.option(
  methods.map((names) => new Set(names)),
  { nil: undefined },
);
