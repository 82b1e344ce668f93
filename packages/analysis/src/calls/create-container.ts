import { create } from '@bufbuild/protobuf';
import { defaultCapabilities } from '@kata-agent/gate';
import {
  type CopyFileRequest,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
} from '@kata-agent/protocol/agent';
import { ProcessSchema } from '@kata-agent/protocol/oci';
import type { Container } from '../pod/container.js';
import type { ImageConfig } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import type { Entry, FactName } from '../write/fact-name.js';
import { enginePath } from './environment.js';
import { sampleHostname, samplePodName } from './host-name.js';
import { maskedPaths, readOnlyPaths } from './masked-paths.js';
import { ContainerMounts } from './mounts.js';
import { Origins } from './origins.js';
import { type FirstProcess, groupsOf, processOf } from './process.js';
import type { RuntimeSetup } from './runtime-setup.js';
import { sampleId } from './sample-id.js';

/** A container to be: its request, the files that are copied before it, and where all that comes from. */
export interface NewContainer {
  readonly id: string;
  /** The field of the pod: `spec.containers[0]`, or `the pause container`. */
  readonly because: string;
  readonly request: CreateContainerRequest;
  readonly copies: readonly { readonly request: CopyFileRequest; readonly because: string }[];
  readonly origins: Origins;
  /** What rules may rest on. */
  readonly values: ReadonlyMap<FactName, readonly Entry[]>;
  /** Absent: the pause container. */
  readonly container?: Container;
  readonly stopSignal: number;
}

/** Regular file, 0644. */
const fileMode = 0o100644;

/** The first container of a pod, which holds what the others share and does nothing. */
export function pauseContainer(workload: Workload, setup: RuntimeSetup): NewContainer {
  const because = 'the pause container';
  const id = sampleId(workload.name);
  const origins = new Origins();
  const mounts = new ContainerMounts(setup, { container: id, sandbox: sampleId(workload.name) }, origins);
  const privileged = workload.containers.some((container) => container.privileged);
  mounts.defaults({ pause: true, privileged, readOnlyRoot: true });
  mounts.image('pause', because);
  const user = {
    UID: workload.user ?? 65535,
    GID: workload.group ?? (workload.user === undefined ? 65535 : 0),
  };
  if (workload.user !== undefined && workload.group === undefined && workload.user !== 0) {
    const field = `${workload.path}.securityContext`;
    origins.guessed('user', `${field}: runAsUser without runAsGroup leaves the group to the image`);
  }
  const groups = groupsOf(workload, user.GID, because, origins);
  origins.of('environment', 'PATH', 'the container engine');
  origins.of('variables', `PATH=${enginePath}`, 'the container engine');
  origins.of('privileges', 'true', because);
  for (const name of defaultCapabilities) origins.of('capabilities', name, 'the container engine');
  const process = create(ProcessSchema, {
    User: { ...user, AdditionalGids: [...groups.all] },
    Args: ['/pause'],
    Env: [`PATH=${enginePath}`],
    Cwd: '/',
    NoNewPrivileges: true,
    Capabilities: {
      Bounding: [...defaultCapabilities],
      Effective: [...defaultCapabilities],
      Permitted: [...defaultCapabilities],
    },
  });
  const first = { process, variables: [`PATH=${enginePath}`], groups: groups.listed };
  return newContainer(workload, setup, { id, because, first, mounts, origins, pause: true, stopSignal: 9 });
}

/** A container that the pod names. */
export function podContainer(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  setup: RuntimeSetup,
): NewContainer {
  const id = sampleId(workload.name, container.name);
  const origins = new Origins();
  const mounts = new ContainerMounts(setup, { container: id, sandbox: sampleId(workload.name) }, origins);
  mounts.ofContainer(workload, container, image);
  mounts.image(container.image, `${container.path}.image`);
  return newContainer(workload, setup, {
    id,
    because: container.path,
    first: processOf(workload, container, image, origins),
    mounts,
    origins,
    pause: false,
    container,
    stopSignal: stopSignalOf(container, image, origins),
  });
}

interface Parts {
  readonly id: string;
  readonly because: string;
  readonly first: FirstProcess;
  readonly mounts: ContainerMounts;
  readonly origins: Origins;
  readonly pause: boolean;
  readonly container?: Container;
  readonly stopSignal: number;
}

function newContainer(workload: Workload, setup: RuntimeSetup, parts: Parts): NewContainer {
  const { id, container, mounts, origins, first } = parts;
  const sysctls = sysctlsOf(workload, origins);
  const readOnly = parts.pause || container?.readOnlyRoot === true;
  const rootField = container === undefined ? parts.because : `${container.path}.securityContext`;
  origins.of('root', String(readOnly), `${rootField}${parts.pause ? '' : '.readOnlyRootFilesystem'}`);
  const unmasked = container?.privileged === true || container?.unmasked === true;
  for (const device of container?.devices ?? []) origins.of('devices', ['b', device.devicePath], device.path);
  const rootFolder = setup.runtime === 'rs' ? 'passthrough/' : '';
  const rootPath =
    setup.guest === 'confidential'
      ? `/run/kata-containers/${id}/rootfs`
      : `/run/kata-containers/shared/containers/${rootFolder}${id}/rootfs`;
  const request = create(CreateContainerRequestSchema, {
    containerId: id,
    // The runtime in Go names the first process like its container; runtime-rs leaves its name empty.
    execId: setup.runtime === 'go' ? id : '',
    devices: (container?.devices ?? []).map((device) => ({ type: 'blk', containerPath: device.devicePath })),
    storages: mounts.storages,
    sandboxPidns: workload.sharesProcesses && !parts.pause,
    OCI: {
      Version: '1.1.0',
      Process: first.process,
      Root: { Path: rootPath, Readonly: readOnly },
      Hostname: parts.pause ? sampleHostname(workload) : '',
      Mounts: mounts.mounts,
      Annotations: annotationsOf(workload, parts),
      Linux: {
        Namespaces: namespacesOf(workload, setup).map((Type) => ({ Type })),
        Sysctl: Object.fromEntries(sysctls),
        ...(unmasked ? {} : { MaskedPaths: [...maskedPaths], ReadonlyPaths: [...readOnlyPaths] }),
        RootfsPropagation: rootPropagation(container),
        Devices: (container?.devices ?? []).map((device) => ({ Path: device.devicePath, Type: 'b' })),
      },
    },
  });
  return {
    id,
    because: parts.because,
    request,
    copies: mounts.copies.map(({ path, because }) => ({
      request: create(CopyFileRequestSchema, { path, fileMode }),
      because,
    })),
    origins,
    values: valuesOf(parts, request, sysctls, String(readOnly)),
    ...(container === undefined ? {} : { container }),
    stopSignal: parts.stopSignal,
  };
}

/** All that rules may rest on, by fact. */
function valuesOf(
  { container, first, mounts }: Parts,
  { OCI }: CreateContainerRequest,
  sysctls: readonly (readonly [string, string])[],
  readOnlyRoot: string,
): ReadonlyMap<FactName, readonly Entry[]> {
  const { process, variables, groups } = first;
  return new Map<FactName, readonly Entry[]>([
    ['commandLine', [[container?.name ?? '', ...process.Args]]],
    ['variables', variables],
    ['groups', groups],
    ['privileges', [String(process.NoNewPrivileges)]],
    ['root', [readOnlyRoot]],
    ['mountTable', mounts.mountTable],
    ['storageTable', mounts.storageTable],
    ['devices', (OCI?.Linux?.Devices ?? []).map(({ Type, Path }) => [Type, Path])],
    ['sysctls', sysctls],
  ]);
}

/** Two that containerd sets for pods from 2.0 on, and those of the pod. */
function sysctlsOf(workload: Workload, origins: Origins): readonly (readonly [string, string])[] {
  const sysctls = [
    ...[
      ['net.ipv4.ip_unprivileged_port_start', '0'],
      ['net.ipv4.ping_group_range', '0 2147483647'],
    ].map(([name = '', value = '']) => ({ name, value, path: 'the container engine' })),
    ...workload.sysctls,
  ];
  return sysctls.map(({ name, value, path }) => {
    origins.of('sysctls', [name, value], path);
    return [name, value] as const;
  });
}

/** The runtimes drop those of the network, of time and of processes; the one in Go also that of cgroups. */
function namespacesOf({ hostIpc }: Workload, { runtime }: RuntimeSetup): readonly string[] {
  return [...(hostIpc ? [] : ['ipc']), 'uts', 'mount', ...(runtime === 'rs' ? ['cgroup'] : [])];
}

/** As containerd sets it for the widest of the container's mounts. */
export function rootPropagation(container: Container | undefined): string {
  const widest = (container?.mounts ?? []).map(({ propagation }) => propagation);
  return ['rshared', 'rslave'].find((word) => widest.some((propagation) => propagation === word)) ?? '';
}

function annotationsOf(workload: Workload, { pause, container }: Parts): Record<string, string> {
  const common = {
    'io.kubernetes.cri.sandbox-id': sampleId(workload.name),
    'io.kubernetes.cri.sandbox-name': samplePodName(workload),
    'io.kubernetes.cri.sandbox-namespace': workload.namespace ?? 'default',
  };
  if (pause || container === undefined) {
    return {
      ...common,
      'io.kubernetes.cri.container-type': 'sandbox',
      'io.katacontainers.pkg.oci.container_type': 'pod_sandbox',
    };
  }
  return {
    ...common,
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.container-name': container.name,
    'io.kubernetes.cri.image-name': container.image,
    'io.katacontainers.pkg.oci.container_type': 'pod_container',
  };
}

/** Linux's signals that images or pods ask to be stopped by. Source: signal(7), x86 and ARM. */
const signals: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGWINCH: 28,
  SIGPWR: 30,
  'SIGRTMIN+3': 37,
};

function stopSignalOf(container: Container, image: ImageConfig | undefined, origins: Origins): number {
  const name = container.stopSignal ?? (image?.stopSignal || 'SIGTERM');
  const field =
    container.stopSignal === undefined ? `${container.path}.image` : `${container.path}.lifecycle.stopSignal`;
  if (container.stopSignal === undefined && image === undefined) {
    origins.guessed('signal', `the stop signal of image ${container.image} is not known (${field})`);
  }
  const number = /^\d+$/.test(name) ? Number(name) : signals[name.startsWith('SIG') ? name : `SIG${name}`];
  if (number === undefined) origins.guessed('signal', `${field}: signal "${name}" is not known here`);
  origins.of('signal', number ?? 15, field);
  return number ?? 15;
}
