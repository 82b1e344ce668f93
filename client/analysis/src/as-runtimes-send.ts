import { maskedPaths, readOnlyPaths } from '@kata-agent/workloads';
import { fromJson, type JsonObject, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import { requestOfFacts } from './request-of-facts.js';
import { requestSchema } from './request-schema.js';

const proc: JsonObject = {
  destination: '/proc',
  type: 'proc',
  source: 'proc',
  options: ['nosuid', 'noexec', 'nodev'],
};

const dev: JsonObject = {
  destination: '/dev',
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
};

/**
 * Adds to a CreateContainer request what every runtime sends, where the request does not set it: masked and read-only
 * paths, namespaces, /proc and /dev. A test then needs only what it is about, and the agent does not deny the container
 * for the rest.
 */
export function asRuntimesSend(request: JsonValue): JsonValue {
  if (!isObject(request)) return request;
  const spec = request['OCI'] ?? {};
  if (!isObject(spec)) return request;
  const linux = spec['Linux'] ?? {};
  const mounts = spec['Mounts'] ?? [];
  if (!isObject(linux) || !Array.isArray(mounts)) return request;
  const hasMount = ({ destination }: JsonObject): boolean =>
    mounts.some((mount) => isObject(mount) && mount['destination'] === destination);
  return {
    ...request,
    OCI: {
      ...spec,
      Mounts: [...[proc, dev].filter((each) => !hasMount(each)), ...mounts],
      Linux: {
        MaskedPaths: [...maskedPaths],
        ReadonlyPaths: [...readOnlyPaths],
        Namespaces: ['ipc', 'uts', 'mount'].map((Type) => ({ Type })),
        ...linux,
      },
    },
  };
}

/** Returns a request with these facts and otherwise what runtimes send. */
export function defaultRequest(method: MethodName, facts: RequestFacts): Message {
  const request = requestOfFacts(method, facts);
  if (method !== 'CreateContainer') return request;
  const schema = requestSchema(method);
  return fromJson(schema, asRuntimesSend(toJson(schema, request)));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
