import { anyPack } from '@bufbuild/protobuf/wkt';
import { create } from '@bufbuild/protobuf';
import { setTimeout as delay } from 'node:timers/promises';

import { type Code, type ServiceImplementation, TtrpcError } from '@kata-agent/ttrpc';

import { DetailSchema, type Interop } from './gen/interop_pb.js';

/** Our implementation of interop.Interop. The Go implementation is go/src/interopservice. */
export const interopService: ServiceImplementation<typeof Interop, unknown> = {
  echo: ({ text, data }, { metadata, timeoutMs }) => ({
    text,
    data,
    metadata: [...metadata]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([key, values]) => values.map((value) => ({ key, value }))),
    hasTimeout: timeoutMs !== undefined,
  }),
  fail: ({ code, message, details }) => {
    const packed = details.map((text) => anyPack(DetailSchema, create(DetailSchema, { text })));
    throw new TtrpcError(code as Code, message, { details: packed });
  },
  sleep: async ({ milliseconds }, { signal }) => {
    await delay(milliseconds, undefined, { signal });
    return {};
  },
  blob: ({ size }) => ({ data: new Uint8Array(size) }),
  sum: async (numbers) => {
    let sum = 0n;
    let count = 0n;
    for await (const { value } of numbers) {
      sum += value;
      count += 1n;
    }
    return { sum, count };
  },
  async *count({ upTo, failAfter, failCode, padding }) {
    const filler = new Uint8Array(padding);
    for (let value = 1n; value <= upTo; value += 1n) {
      yield { value, padding: filler };
      if (value === failAfter) throw new TtrpcError(failCode as Code, 'counted far enough');
    }
  },
  async *chat(numbers) {
    for await (const { value } of numbers) yield { value: 2n * value };
  },
};
