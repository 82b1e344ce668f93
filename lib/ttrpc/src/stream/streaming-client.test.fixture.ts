import { connect, createClient, type Client } from '../index.js';
import {
  serveDemo,
  turn,
  type Implementation,
  type Options,
  type Served,
} from '../demo-server.test.fixture.js';
import { Demo } from '../demo.test.fixture.js';

/** Connects a client and a server with the same limits. */
export function setUp(
  implementation: Implementation,
  options: Options = {},
): Served & { client: Client<typeof Demo> } {
  const served = serveDemo(implementation, options);
  const channel = connect(served.near, options.limits === undefined ? {} : { limits: options.limits });
  return { ...served, client: createClient(Demo, channel) };
}

export async function all<T>(messages: AsyncIterable<{ value: T }>): Promise<T[]> {
  const out: T[] = [];
  for await (const { value } of messages) out.push(value);
  return out;
}

export async function* from<T>(...values: T[]): AsyncGenerator<{ value: T }, void> {
  for (const value of values) {
    await turn();
    yield { value };
  }
}

export async function* upTo(count: number): AsyncGenerator<{ value: number }, void> {
  for (let value = 1; value <= count; value++) yield { value };
}

/** Handlers that behave as their names say. */
export const standard: Implementation = {
  count: ({ value }) => upTo(value),
  sum: async (requests) => {
    let value = 0;
    for await (const request of requests) value += request.value;
    return { value };
  },
  chat: async function* (requests) {
    for await (const { value } of requests) yield { value: `${value}!` };
  },
};
