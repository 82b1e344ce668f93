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

export type Area = 'sandbox' | 'containers' | 'processes' | 'network' | 'memory' | 'storage' | 'observation';

/**
 * The methods of each area; each method is in one area. The agent's services and the guest's code have a file per area.
 */
export const areas: Readonly<Record<Area, readonly MethodName[]>> = {
  sandbox: namesOf(sandboxRows),
  containers: namesOf(containerRows),
  processes: namesOf(processRows),
  network: namesOf(networkRows),
  memory: namesOf(memoryRows),
  storage: namesOf(storageRows),
  observation: namesOf(observationRows),
};

function namesOf<M extends MethodName>(table: EndpointRows<M>): readonly M[] {
  return Object.keys(table) as M[];
}

/** The description of each method, frozen. */
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
