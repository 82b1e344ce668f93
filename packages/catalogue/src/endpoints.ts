import type { Endpoint, EndpointRows } from './endpoint.js';
import { containerRows } from './endpoints/containers.js';
import { memoryRows } from './endpoints/memory.js';
import { networkRows } from './endpoints/network.js';
import { observationRows } from './endpoints/observation.js';
import { processRows } from './endpoints/processes.js';
import { sandboxRows } from './endpoints/sandbox.js';
import { storageRows } from './endpoints/storage.js';
import { type GroupName, groups } from './groups.js';
import { type MethodName, methodNames } from './methods.js';

// The type makes the compiler reject a method without a row, and a row without a method.
const rows: EndpointRows<MethodName> = {
  ...sandboxRows,
  ...containerRows,
  ...processRows,
  ...networkRows,
  ...memoryRows,
  ...storageRows,
  ...observationRows,
};

/** What is known of each method, frozen. */
export const endpoints: { readonly [M in MethodName]: Endpoint } = Object.freeze(
  Object.fromEntries(methodNames.map((method) => [method, endpointOf(method)])) as {
    [M in MethodName]: Endpoint;
  },
);

function endpointOf(method: MethodName): Endpoint {
  return Object.freeze({ method, ...rows[method], groups: Object.freeze(groupsWith(method)) });
}

function groupsWith(method: MethodName): GroupName[] {
  return [...groups.values()].filter((group) => group.methods.includes(method)).map((group) => group.name);
}
