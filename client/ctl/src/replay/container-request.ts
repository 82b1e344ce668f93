import { clone, create } from '@bufbuild/protobuf';
import { alwaysReadOnly, defaultCapabilities } from '@kata-agent/gate';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type Storage,
} from '@kata-agent/protocol/agent';
import { type LinuxResources, type Mount, type Process, ProcessSchema } from '@kata-agent/protocol/oci';
import { defaultMounts, maskedPaths, searchPath } from '../run/spec.js';
import type { Runtime } from './replayed-calls.js';

interface NewContainer {
  readonly id: string;
  /** A directory in the guest. */
  readonly root: string;
  readonly readonly: boolean;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly terminal: boolean;
  /** Joins the PID namespace of the first container. */
  readonly sharesProcesses: boolean;
  readonly annotations: Readonly<Record<string, string>>;
  /** In addition to those that every container has. */
  readonly mounts: readonly Mount[];
  readonly storages: readonly Storage[];
  readonly resources: LinuxResources | undefined;
  readonly cgroup: string;
}

/** A process of root with the default capabilities of container engines. */
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

/** Returns the CreateContainer request, without the fields in which the two runtimes differ. */
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
 * Sets the fields in which the runtimes differ: the Go runtime names the first process like its container and keeps
 * the cgroup namespace of the spec; runtime-rs leaves the name empty and keeps the namespace. Both leave the PID
 * namespace to the agent.
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

/** Returns the name that a runtime gives to the first process of a container. */
export function firstProcess(runtime: Runtime, containerId: string): string {
  return runtime === 'go' ? containerId : '';
}
