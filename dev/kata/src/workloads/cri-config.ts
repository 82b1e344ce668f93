// The messages of CRI for a pod, as the kubelet sends them, without network.
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { cgroupParent } from '../cri/containerd.js';
import {
  type ContainerConfigSchema,
  type LinuxContainerResources,
  NamespaceMode,
  type PodSandboxConfigSchema,
  SecurityProfile_ProfileType,
} from '../gen/cri_pb.js';
import { type Container, type Manifests, type Pod, quantity, type Variable } from './manifests.js';

/** Source: Kubernetes, pkg/securitycontext/util.go. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** `logDirectory`: for the logs of its containers. */
export function sandboxConfig(
  { metadata, spec }: Pod,
  logDirectory: string,
): MessageInitShape<typeof PodSandboxConfigSchema> {
  const { dnsConfig, securityContext } = spec;
  return {
    metadata: { name: metadata.name, uid: `${metadata.name}-uid`, namespace: 'default' },
    hostname: spec.hostname ?? metadata.name,
    logDirectory,
    ...(dnsConfig === undefined
      ? {}
      : {
          dnsConfig: {
            servers: [...(dnsConfig.nameservers ?? [])],
            searches: [...(dnsConfig.searches ?? [])],
          },
        }),
    labels: { ...metadata.labels, 'io.kubernetes.pod.name': metadata.name },
    annotations: { ...metadata.annotations },
    linux: {
      cgroupParent: `/${cgroupParent}`,
      securityContext: {
        namespaceOptions: namespaces(spec),
        ...userOf(securityContext ?? {}),
        supplementalGroups: groupsOf(securityContext ?? {}),
        privileged: [...spec.containers, ...(spec.initContainers ?? [])].some(
          (container) => container.securityContext?.privileged === true,
        ),
      },
      sysctls: Object.fromEntries((securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
    },
  };
}

function namespaces({ shareProcessNamespace }: Pod['spec']) {
  const pid = shareProcessNamespace === true ? NamespaceMode.POD : NamespaceMode.CONTAINER;
  return { network: NamespaceMode.POD, pid };
}

/** What the kubelet has on the host for a container. */
interface OnHost {
  /** The name of the image. */
  readonly image: string;
  /** The directories of the pod's volumes. */
  readonly volumes: ReadonlyMap<string, string>;
  readonly hosts: string;
  readonly terminationMessage: string;
  /** In the directory of the pod's logs. */
  readonly log: string;
}

export function containerConfig(
  container: Container,
  pod: Pod,
  manifests: Manifests,
  onHost: OnHost,
): MessageInitShape<typeof ContainerConfigSchema> {
  const own = container.securityContext ?? {};
  const shared = pod.spec.securityContext ?? {};
  const { capabilities, seccompProfile } = own;
  return {
    metadata: { name: container.name },
    image: { image: onHost.image, userSpecifiedImage: onHost.image },
    command: [...(container.command ?? [])],
    args: [...(container.args ?? [])],
    envs: Object.entries(environment(pod, container, manifests)).map(([key, value]) => ({
      key,
      value,
    })),
    mounts: mountsOf(container, pod, onHost),
    logPath: onHost.log,
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    linux: {
      resources: resourcesOf(container),
      securityContext: {
        namespaceOptions: namespaces(pod.spec),
        privileged: own.privileged ?? false,
        ...(own.privileged === true ? {} : { maskedPaths, readonlyPaths }),
        readonlyRootfs: own.readOnlyRootFilesystem ?? false,
        ...userOf({ ...shared, ...own }),
        supplementalGroups: groupsOf(shared),
        ...(capabilities === undefined
          ? {}
          : {
              capabilities: {
                addCapabilities: [...(capabilities.add ?? [])],
                dropCapabilities: [...(capabilities.drop ?? [])],
              },
            }),
        seccomp: {
          profileType:
            seccompProfile?.type === 'RuntimeDefault'
              ? SecurityProfile_ProfileType.RuntimeDefault
              : SecurityProfile_ProfileType.Unconfined,
        },
      },
    },
  };
}

/** The mounts of the container, and those that the kubelet adds: /etc/hosts and the termination message. */
function mountsOf(container: Container, pod: Pod, { volumes, hosts, terminationMessage }: OnHost) {
  return [
    ...(container.volumeMounts ?? []).map((mount) => ({
      containerPath: mount.mountPath,
      hostPath: join(volumes.get(mount.name) ?? '', mount.subPath ?? ''),
      readonly: mount.readOnly === true || isFromCluster(pod, mount.name),
    })),
    { containerPath: '/etc/hosts', hostPath: hosts, readonly: false },
    {
      containerPath: container.terminationMessagePath ?? '/dev/termination-log',
      hostPath: terminationMessage,
      readonly: false,
    },
  ];
}

/** Reports whether the kubelet mounts a volume read-only, whatever the pod says. */
function isFromCluster({ spec }: Pod, name: string): boolean {
  const volume = spec.volumes?.find((each) => each.name === name);
  return [volume?.configMap, volume?.secret, volume?.projected].some((source) => source !== undefined);
}

interface Identity {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
}

function userOf({ runAsUser, runAsGroup }: Identity): {
  readonly runAsUser?: { readonly value: bigint };
  readonly runAsGroup?: { readonly value: bigint };
} {
  return {
    ...(runAsUser === undefined ? {} : { runAsUser: { value: BigInt(runAsUser) } }),
    ...(runAsGroup === undefined ? {} : { runAsGroup: { value: BigInt(runAsGroup) } }),
  };
}

function groupsOf({
  fsGroup,
  supplementalGroups = [],
}: NonNullable<Pod['spec']['securityContext']>): bigint[] {
  return [...(fsGroup === undefined ? [] : [fsGroup]), ...supplementalGroups].map(BigInt);
}

/** Source: Kubernetes, pkg/kubelet/kuberuntime/kuberuntime_container_linux.go and pkg/kubelet/qos/policy.go. */
function resourcesOf({
  resources = {},
}: Container): Partial<
  Pick<LinuxContainerResources, 'cpuPeriod' | 'cpuQuota' | 'cpuShares' | 'memoryLimitInBytes' | 'oomScoreAdj'>
> {
  const limit = (name: string): number => quantity(resources.limits?.[name] ?? 0);
  const request = (name: string): number => quantity(resources.requests?.[name] ?? limit(name));
  const isGuaranteed =
    limit('cpu') > 0 &&
    limit('memory') > 0 &&
    request('cpu') === limit('cpu') &&
    request('memory') === limit('memory');
  const isBestEffort = ['cpu', 'memory'].every((name) => limit(name) + request(name) === 0);
  return {
    cpuPeriod: 100_000n,
    cpuQuota: BigInt(Math.round(limit('cpu') * 100_000)),
    cpuShares: BigInt(Math.max(2, Math.round(request('cpu') * 1024))),
    memoryLimitInBytes: BigInt(Math.round(limit('memory'))),
    oomScoreAdj: isGuaranteed ? -997n : isBestEffort ? 1000n : 999n,
  };
}

/** The address of the node and the pod: the pods of these tests are in the network namespace of containerd. */
const nodeAddress = '127.0.0.1';

/** Memory of the node in bytes, which is the limit of a container without one. */
const nodeMemory = 8 * 2 ** 30;

/** Variables of the service of the API server, which every container has. */
const apiServer: Readonly<Record<string, string>> = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  KUBERNETES_SERVICE_PORT_HTTPS: '443',
  KUBERNETES_PORT: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
  KUBERNETES_PORT_443_TCP_PORT: '443',
  KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
};

// The variables of a container, as the kubelet sets them.

/** Source: Kubernetes, `makeEnvironmentVariables` in pkg/kubelet/kubelet_pods.go. */
export function environment(
  pod: Pod,
  container: Container,
  { configMaps, secrets }: Manifests,
): Readonly<Record<string, string>> {
  const values: Record<string, string> = { ...apiServer };
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef !== undefined) Object.assign(values, found(configMaps, configMapRef.name));
    if (secretRef !== undefined) Object.assign(values, found(secrets, secretRef.name));
  }
  for (const variable of container.env ?? []) values[variable.name] = valueOf(variable);
  return values;

  function valueOf({ value, valueFrom }: Variable): string {
    if (valueFrom === undefined) return expanded(value ?? '', values);
    const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
    if (configMapKeyRef !== undefined)
      return found(configMaps, configMapKeyRef.name)[configMapKeyRef.key] ?? '';
    if (secretKeyRef !== undefined) return found(secrets, secretKeyRef.name)[secretKeyRef.key] ?? '';
    if (fieldRef !== undefined) return field(pod, fieldRef.fieldPath);
    return String(resource(container, resourceFieldRef?.resource ?? ''));
  }
}

/** Replaces `$(NAME)` by the value of a variable before. */
function expanded(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$\(([^)]*)\)/g, (whole, name: string) => values[name] ?? whole);
}

function found<T>(objects: ReadonlyMap<string, T>, name: string): T {
  const object = objects.get(name);
  if (object === undefined) throw new Error(`the manifests have no object ${name}`);
  return object;
}

function field({ metadata }: Pod, path: string): string {
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': 'default',
    'spec.nodeName': 'node',
    'status.hostIP': nodeAddress,
    'status.podIP': nodeAddress,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`the field ${path} is not known here`);
  return value;
}

function resource({ resources = {} }: Container, path: string): number {
  const [kind, name = ''] = path.split('.');
  const given = kind === 'limits' ? resources.limits?.[name] : resources.requests?.[name];
  if (given !== undefined) return quantity(given);
  return kind === 'limits' && name === 'memory' ? nodeMemory : 0;
}
