import { create } from '@bufbuild/protobuf';
import { enginePath } from '@kata-agent/catalogue';
import { alwaysMasked, alwaysReadOnly, defaultCapabilities } from '@kata-agent/gate';
import { guestPull } from '@kata-agent/catalogue/request-features';
import {
  type CopyFileRequest,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type Storage,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { ProcessSchema } from '@kata-agent/protocol/oci';
import type { Container } from '../pod/container.js';
import type { ImageConfig } from '../pod/container-image.js';
import type { Workload } from '../pod/workload.js';
import type { Entry, FactName } from '../facts/fact.js';
import { missingImage } from './environment.js';
import { gpuAnnotation, sampleGpus } from './gpus.js';
import { sampleHostname, sampleId, samplePodName } from './sample-names.js';
import type { MountedVolume } from './mounted-volume.js';
import { ContainerMounts, type CopiedKind } from './mounts.js';
import { Origins } from './expected-call.js';
import { type FirstProcess, groupOfImage, groupsOf, processOf } from './process.js';
import { passthroughRoot } from './root-layers.js';
import { pullsImages, type RuntimeSetup } from './runtime-setup.js';

/** Paths in /proc and /sys that every version of containerd masks. */
export const maskedPaths: readonly string[] = alwaysMasked;

/** Paths that later versions mask in addition, or instead of making them read-only. */
export const optionalMaskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/interrupts',
  '/proc/mtrr',
  '/sys/dev',
  '/sys/dev/block',
  '/sys/fs/selinux',
  '/sys/devices/virtual/powercap',
];

/** Read-only paths; some versions mask the first one. */
export const readOnlyPaths: readonly string[] = alwaysReadOnly;

/** An expected container: its request, the files that are copied before it, and the origins of its values. */
export interface NewContainer {
  readonly id: string;
  /** The pod field: `spec.containers[0]`, or `the pause container`. */
  readonly because: string;
  readonly request: CreateContainerRequest;
  readonly copies: readonly { readonly request: CopyFileRequest; readonly because: string }[];
  readonly origins: Origins;
  /** The values that rules can use. */
  readonly values: ReadonlyMap<FactName, readonly Entry[]>;
  /** What each mount is of whose source the runtime chooses. */
  readonly volumes: readonly MountedVolume[];
  /** CEL of each word of the command line; absent: unknown. */
  readonly words?: readonly string[];
  /** Absent: the pause container. */
  readonly container?: Container;
  readonly stopSignal: number;
}

/** With the file type, as in stat(2). */
const modes: Readonly<Record<CopiedKind, number>> = { file: 0o100644, directory: 0o040755 };

/** The pause container: the first container of a pod, which holds the shared namespaces. */
export function pauseContainer(workload: Workload, setup: RuntimeSetup): NewContainer {
  const because = 'the pause container';
  const id = sampleId(workload.name);
  const origins = new Origins();
  const mounts = new ContainerMounts(setup, { container: id, sandbox: sampleId(workload.name) }, origins);
  const privileged = workload.containers.some((container) => container.privileged);
  mounts.defaults({ pause: true, privileged, readOnlyRoot: true });
  mounts.root('pause', undefined, 0, because);
  const uid = workload.user ?? 65535;
  const gid = workload.group ?? (workload.user === undefined ? 65535 : 0);
  const isOpen = workload.user !== undefined && workload.group === undefined && workload.user !== 0;
  if (isOpen) groupOfImage(uid, workload.path, origins);
  const groups = groupsOf(workload, isOpen ? undefined : gid, because, origins);
  origins.of('environment', 'PATH', 'the container engine');
  origins.of('variables', `PATH=${enginePath}`, 'the container engine');
  origins.of('privileges', 'true', because);
  for (const name of defaultCapabilities) origins.of('capabilities', name, 'the container engine');
  const process = create(ProcessSchema, {
    User: { UID: uid, GID: gid, AdditionalGids: [...groups.all] },
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

/**
 * Returns a container of the pod.
 *
 * @param earlier the subjects of the mounts of the pod's existing containers
 */
export function podContainer(
  workload: Workload,
  container: Container,
  { image, earlier }: { readonly image: ImageConfig | undefined; readonly earlier: ReadonlySet<string> },
  setup: RuntimeSetup,
): NewContainer {
  const id = sampleId(workload.name, container.name);
  const origins = new Origins();
  const ids = { container: id, sandbox: sampleId(workload.name) };
  const mounts = new ContainerMounts(setup, ids, origins, earlier);
  mounts.ofContainer(workload, container, image);
  const position = workload.containers.indexOf(container) + 1;
  mounts.root(container.image, image, position, `${container.path}.image`);
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
  const rootPath = pullsImages(setup)
    ? `/run/kata-containers/${id}/rootfs`
    : setup.runtime === 'rs'
      ? passthroughRoot(id)
      : `/run/kata-containers/shared/containers/${id}/rootfs`;
  const gpus = container === undefined ? [] : sampleGpus(workload, container, setup);
  const annotations = {
    ...annotationsOf(workload, setup, parts),
    ...Object.fromEntries(gpus.map(({ device, cdiName }) => [`${gpuAnnotation}${device}`, cdiName])),
  };
  const request = create(CreateContainerRequestSchema, {
    containerId: id,
    // The Go runtime names the first process like its container; runtime-rs leaves the name empty.
    execId: setup.runtime === 'rs' ? '' : id,
    devices: [
      ...(container?.devices ?? []).map((device) => ({ type: 'blk', containerPath: device.devicePath })),
      ...gpus.map(({ device, option }) => ({
        id: `vfio${device}`,
        type: 'vfio-pci-gk',
        containerPath: `/dev/vfio/devices/vfio${device}`,
        options: [option],
      })),
    ],
    storages: mounts.storages.map((storage) => withMetadata(storage, annotations)),
    sandboxPidns: workload.sharesProcesses && !parts.pause,
    OCI: {
      Version: '1.1.0',
      Process: first.process,
      Root: { Path: rootPath, Readonly: readOnly },
      Hostname: parts.pause ? sampleHostname(workload) : '',
      Mounts: mounts.mounts,
      Annotations: annotations,
      Linux: {
        Namespaces: [...namespacesOf(workload, setup)],
        ...(workload.ownUsers ? { UIDMappings: [sampleMapping], GIDMappings: [sampleMapping] } : {}),
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
    copies: mounts.copies.map(({ path, kind, because }) => ({
      request: create(CopyFileRequestSchema, { path, fileMode: modes[kind], dirMode: 0o755 }),
      because,
    })),
    origins,
    values: valuesOf(parts, request, sysctls, String(readOnly)),
    volumes: mounts.volumes,
    ...(first.words === undefined ? {} : { words: first.words }),
    ...(container === undefined ? {} : { container }),
    stopSignal: parts.stopSignal,
  };
}

/**
 * Returns a storage that asks for a pull with the annotations of its container, as both runtimes send it.
 *
 * Source: Kata 4.1, `handleImageGuestPullBlockVolume` (virtcontainers/kata_agent.go) and `handle_virtual_volume_storage`
 * (runtime-rs/crates/resource/src/rootfs/virtual_volume.rs). A snapshotter may add labels of its own.
 */
function withMetadata(storage: Storage, metadata: Readonly<Record<string, string>>): Storage {
  if (storage.driver !== guestPull) return storage;
  return create(StorageSchema, {
    ...storage,
    driverOptions: [`${guestPull}=${JSON.stringify({ metadata })}`],
  });
}

/** Returns all values for rules, by fact. */
function valuesOf(
  { container, first, mounts, origins }: Parts,
  { OCI }: CreateContainerRequest,
  sysctls: readonly (readonly [string, string])[],
  readOnlyRoot: string,
): ReadonlyMap<FactName, readonly Entry[]> {
  const { process, variables, groups } = first;
  const isKnown = !origins.unknown.has('commandLine');
  return new Map<FactName, readonly Entry[]>([
    ['commandLine', isKnown ? [[container?.name ?? '', ...process.Args]] : []],
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

/** Sysctls: two that containerd sets for pods since 2.0, and those of the pod. */
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

/**
 * The users of a pod with `hostUsers: false`: the kubelet keeps the first 65,536 of the node, and gives a multiple of as many.
 *
 * Source: `MakeUserNsManager` and `createUserNs` in Kubernetes' pkg/kubelet/userns/userns_manager.go.
 */
const sampleMapping = { ContainerID: 0, HostID: 3 * 65_536, Size: 65_536 };

/**
 * Runtimes drop network, time and PID namespaces; the Go runtime also drops the cgroup namespace. The forwarder of peer
 * pods adds a network namespace.
 */
function namespacesOf(
  { hostIpc, ownUsers }: Workload,
  { runtime, networkNamespace }: RuntimeSetup,
): readonly { readonly Type: string; readonly Path: string }[] {
  const types = [
    ...(hostIpc ? [] : ['ipc']),
    'uts',
    'mount',
    ...(ownUsers ? ['user'] : []),
    ...(runtime === 'rs' ? ['cgroup'] : []),
  ];
  return [
    ...types.map((Type) => ({ Type, Path: '' })),
    ...(networkNamespace === undefined ? [] : [{ Type: 'network', Path: networkNamespace }]),
  ];
}

/** Returns the rootfs propagation as containerd derives it from the container's mounts. */
export function rootPropagation(container: Container | undefined): string {
  const widest = (container?.mounts ?? []).map(({ propagation }) => propagation);
  return ['rshared', 'rslave'].find((word) => widest.some((propagation) => propagation === word)) ?? '';
}

/** The kubelet's annotation with the path of the file that `GetDiagnosticData` reads. */
export const terminationAnnotation = 'io.kubernetes.container.terminationMessagePath';

/** Annotations from the configuration of the host's engine. */
const pauseImage = 'registry.k8s.io/pause:3.10';

function annotationsOf(
  workload: Workload,
  { guest }: RuntimeSetup,
  { pause, container }: Parts,
): Record<string, string> {
  const common = {
    'io.kubernetes.cri.sandbox-id': sampleId(workload.name),
    'io.kubernetes.cri.sandbox-name': samplePodName(workload),
    'io.kubernetes.cri.sandbox-namespace': workload.namespace ?? 'default',
  };
  if (pause || container === undefined) {
    return {
      ...common,
      'io.kubernetes.cri.container-type': 'sandbox',
      // Since containerd 2.0.
      'io.kubernetes.cri.podsandbox.image-name': pauseImage,
      'io.katacontainers.pkg.oci.container_type': 'pod_sandbox',
    };
  }
  return {
    ...common,
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.container-name': container.name,
    'io.kubernetes.cri.image-name': container.image,
    // Runtimes read the termination message by a call only if there is one.
    ...(guest === 'confidential' ? { [terminationAnnotation]: container.terminationMessagePath } : {}),
    'io.katacontainers.pkg.oci.container_type': 'pod_container',
  };
}

/** Linux signals that images or pods use as stop signal. Source: signal(7), x86 and ARM. */
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
  const open = (why: string): number => {
    origins.guessed('signal', why);
    origins.opened({ fact: 'signal', field: 'stop signal', why }, {});
    return signals['SIGTERM'] ?? 15;
  };
  if (container.stopSignal === undefined && image === undefined) return open(missingImage(container.image));
  const number = /^\d+$/.test(name) ? Number(name) : signals[name.startsWith('SIG') ? name : `SIG${name}`];
  if (number === undefined) return open(`${field}: unknown signal "${name}"`);
  origins.of('signal', number, field);
  return number;
}
