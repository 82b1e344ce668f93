import { clone, create } from '@bufbuild/protobuf';
import { alwaysReadOnly, defaultCapabilities } from '@kata-agent/gate';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type Storage,
} from '@kata-agent/protocol/agent';
import { type LinuxResources, type Mount, type Process, ProcessSchema } from '@kata-agent/protocol/oci';
import { defaultMounts, maskedPaths } from '../run/defaults.js';
import type { Runtime } from './runtime.js';

interface NewContainer {
  readonly id: string;
  /** A directory of the guest. */
  readonly root: string;
  readonly readonly: boolean;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly terminal: boolean;
  /** Joins the pid namespace of the first container. */
  readonly sharesProcesses: boolean;
  readonly annotations: Readonly<Record<string, string>>;
  /** Besides those that every container has. */
  readonly mounts: readonly Mount[];
  readonly storages: readonly Storage[];
  readonly resources: LinuxResources | undefined;
  readonly cgroup: string;
}

const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A process of root's with the capabilities that container engines give. */
export function processOf(args: readonly string[], env: readonly string[] = [], terminal = false): Process {
  const capabilities = [...defaultCapabilities];
  return create(ProcessSchema, {
    Terminal: terminal,
    User: { UID: 0, GID: 0 },
    Args: [...args],
    Env: [searchPath, ...env],
    Cwd: '/',
    Capabilities: { Bounding: capabilities, Effective: capabilities, Permitted: capabilities },
    NoNewPrivileges: true,
  });
}

/** The request for a container, but for what the two runtimes put differently. */
export function containerRequest(container: NewContainer): CreateContainerRequest {
  const { id, mounts, resources } = container;
  const own = new Set(mounts.map(({ destination }) => destination));
  return create(CreateContainerRequestSchema, {
    containerId: id,
    storages: [...container.storages],
    sandboxPidns: container.sharesProcesses,
    OCI: {
      Version: '1.1.0',
      Process: processOf(container.args, container.env, container.terminal),
      Root: { Path: container.root, Readonly: container.readonly },
      Mounts: [
        ...defaultMounts
          .filter(({ destination }) => !own.has(destination))
          .map((row) => ({ ...row, options: [...row.options] })),
        ...mounts,
      ],
      Annotations: { ...container.annotations },
      Linux: {
        CgroupsPath: container.cgroup,
        ...(resources === undefined ? {} : { Resources: resources }),
        MaskedPaths: [...maskedPaths],
        ReadonlyPaths: [...alwaysReadOnly],
      },
    },
  });
}

/**
 * As this runtime sends it: the one in Go names the first process like its container and takes the cgroup namespace
 * from the spec; runtime-rs leaves the name empty and keeps the namespace. Both leave the pid namespace to the agent.
 */
export function asSentBy(runtime: Runtime, container: CreateContainerRequest): CreateContainerRequest {
  const request = clone(CreateContainerRequestSchema, container);
  request.execId = firstProcess(runtime, request.containerId);
  const types = runtime === 'go' ? ['ipc', 'uts', 'mount'] : ['ipc', 'uts', 'mount', 'cgroup'];
  const linux = request.OCI?.Linux;
  if (linux !== undefined)
    linux.Namespaces = types.map((Type) => ({ $typeName: 'grpc.LinuxNamespace', Type, Path: '' }));
  return request;
}

/** The name that a runtime gives to the first process of a container. */
export function firstProcess(runtime: Runtime, containerId: string): string {
  return runtime === 'go' ? containerId : '';
}
