import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
} from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import {
  AgentService,
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  SignalProcessRequestSchema,
  type Storage,
  StorageSchema,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import {
  LinuxCapabilitiesSchema,
  type LinuxDevice,
  LinuxDeviceSchema,
  LinuxSchema,
  MountSchema,
  type Process,
  ProcessSchema,
  SpecSchema,
  UserSchema,
} from '@kata-agent/protocol/oci';
import { maskedPaths, readOnlyPaths } from '@kata-agent/workloads';

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

/** containerd's annotation for a container's image, which the gate's `factsOf` reads. */
const imageAnnotation = 'io.kubernetes.cri.image-name';

/**
 * Returns the smallest request with these facts, the inverse of the gate's `factsOf`: rules can then be evaluated on a
 * recorded request. Values that are never recorded are empty; facts that the method does not have are ignored.
 */
export function requestOfFacts(method: MethodName, facts: RequestFacts): Message {
  switch (method) {
    case 'CreateContainer':
      return containerRequest(facts);
    case 'ExecProcess':
      return create(ExecProcessRequestSchema, { ...processMember('process', facts) });
    case 'CreateSandbox':
      return create(CreateSandboxRequestSchema, { storages: storages(facts) });
    case 'UpdateEphemeralMounts':
      return create(UpdateEphemeralMountsRequestSchema, { storages: storages(facts) });
    case 'CopyFile':
      return create(CopyFileRequestSchema, { path: facts.path ?? '' });
    case 'SignalProcess':
      return create(SignalProcessRequestSchema, { signal: facts.signal ?? 0 });
    default:
      return create(requestSchema(method));
  }
}

function containerRequest(facts: RequestFacts): Message {
  const { image, mounts = [], devices = [] } = facts;
  return create(CreateContainerRequestSchema, {
    OCI: create(SpecSchema, {
      ...processMember('Process', facts),
      Mounts: mounts.map((mount) => create(MountSchema, { ...mount, options: optionsOf(mount) })),
      Annotations: image === undefined ? {} : { [imageAnnotation]: image },
      ...(devices.length === 0 ? {} : { Linux: create(LinuxSchema, { Devices: devices.map(device) }) }),
    }),
    storages: storages(facts),
  });
}

/** Options are not recorded. Without this option the mount would be writable, which is unusual. */
function optionsOf({ type }: { readonly type: string }): string[] {
  return ['sysfs', 'cgroup', 'cgroup2'].includes(type) ? ['ro'] : [];
}

/** Returns the process under the name of its message; none if nothing about it is known. */
function processMember<K extends string>(key: K, facts: RequestFacts): { readonly [P in K]?: Process } {
  const { command, arguments: args, environment, cwd, user, terminal, capabilities } = facts;
  const parts = [command, environment, cwd, user, terminal, capabilities];
  if (parts.every((part) => part === undefined)) return {};
  const [uid = '', gid = ''] = (user ?? '').split(':');
  const process = create(ProcessSchema, {
    Args: command === undefined ? [] : [...(args ?? [command])],
    Env: (environment ?? []).map((name) => `${name}=`),
    Cwd: cwd ?? '',
    User: create(UserSchema, { UID: Number(uid), GID: Number(gid) }),
    Terminal: terminal ?? false,
    Capabilities: create(LinuxCapabilitiesSchema, { Bounding: [...(capabilities ?? [])] }),
  });
  return { [key]: process } as { readonly [P in K]?: Process };
}

function storages({ storages = [] }: RequestFacts): Storage[] {
  return storages.map(({ driver, type, mountPoint }) =>
    create(StorageSchema, { driver, fstype: type, mountPoint }),
  );
}

function device({ type, path }: { readonly type: string; readonly path: string }): LinuxDevice {
  return create(LinuxDeviceSchema, { Type: type, Path: path });
}

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

/** Returns the request message of a method. */
export function requestSchema(method: MethodName): DescMessage {
  const found = AgentService.methods.find(({ name }) => name === method);
  if (found === undefined) throw new Error(`unknown method ${method}`);
  return found.input;
}
