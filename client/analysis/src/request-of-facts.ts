import { create, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import {
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
import { requestSchema } from './request-schema.js';

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
