import { nearest } from '@kata-agent/config';
import { type Field, WorkloadError } from './field.js';

/** A field of a pod that Kata's runtimes do not serve, or whose requests cannot be computed from the files. */
export interface UnservedField {
  /** `hostNetwork`. */
  readonly name: string;
  /** `spec.hostNetwork`. */
  readonly path: string;
  readonly reason: string;
}

/** Returns the fields of a pod that Kata's runtimes do not serve, or whose requests depend on more than the files. */
export function unservedFields(
  pod: Field,
  annotations: ReadonlyMap<string, string>,
): readonly UnservedField[] {
  const network = pod.get('hostNetwork');
  const ephemeral = pod.get('ephemeralContainers');
  const claims = pod.get('resourceClaims');
  const os = pod.in('os', 'name');
  return [
    ...(os !== undefined && os.text() !== 'linux'
      ? [unserved('os', os, 'guests of Kata are Linux: the kubelet of a node with Kata refuses the pod')]
      : []),
    ...(network?.flag() === true
      ? [unserved('hostNetwork', network, "Kata's runtimes do not run pods in the network of the node")]
      : []),
    ...(ephemeral !== undefined && pod.list('ephemeralContainers').length > 0
      ? [
          unserved(
            'ephemeralContainers',
            ephemeral,
            'they are added to a running pod: their requests are not known',
          ),
        ]
      : []),
    ...(claims !== undefined && pod.list('resourceClaims').length > 0
      ? [
          unserved(
            'resourceClaims',
            claims,
            'the driver on the node decides which devices and CDI names the requests have',
          ),
        ]
      : []),
    ...pod.list('volumes').flatMap((volume) => {
      const medium = volume.in('emptyDir', 'medium');
      return medium?.text().startsWith('HugePages') === true
        ? [unserved('medium', medium, 'the storages of huge pages are not known')]
        : [];
    }),
    ...(annotations.get(guestSeccomp) === 'false' ? seccompProfiles(pod) : []),
    ...[...pod.list('initContainers'), ...pod.list('containers')].flatMap(pluginResources),
  ];
}

/** Returns the name of an object that Kubernetes refuses: that of a template which is not filled in, such as `${APP}`. */
export function refusedName(metadata: Field | undefined): readonly UnservedField[] {
  const name = metadata?.get('name');
  if (name === undefined || /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(name.text())) return [];
  const reason = `${JSON.stringify(name.text())} is no name of an object: the API server refuses it`;
  return [unserved('name', name, reason)];
}

/** Kata's runtimes remove seccomp profiles from requests, unless this annotation or their configuration says `false`. */
const guestSeccomp = 'io.katacontainers.config.runtime.disable_guest_seccomp';

function seccompProfiles(pod: Field): readonly UnservedField[] {
  return [pod, ...pod.list('initContainers'), ...pod.list('containers')].flatMap((each) => {
    const profile = each.in('securityContext', 'seccompProfile');
    const type = profile?.get('type')?.text() ?? 'Unconfined';
    if (profile === undefined || type === 'Unconfined') return [];
    return [unserved('seccompProfile', profile, "the engine's profile, which the request has, is not known")];
  });
}

/** Resources of device plugins but for GPUs that are passed through: `intel.com/sriov`. Those of Kubernetes itself have no domain. */
function pluginResources(container: Field): readonly UnservedField[] {
  const limits = container.in('resources', 'limits');
  if (limits === undefined) return [];
  return limits
    .keys()
    .filter((name) => name.includes('/') && !/(^|\.)kubernetes\.io\//.test(name))
    .filter((name) => gpuCount(limits, name) === undefined)
    .map((name) =>
      unserved(
        name,
        limits,
        'the device plugin of the node decides which devices and CDI names the requests have',
      ),
    );
}

function unserved(name: string, { path }: Pick<Field, 'path'>, reason: string): UnservedField {
  return { name, path, reason };
}

/**
 * Resources of NVIDIA's device plugin for GPUs that are passed through to the guest's kernel: its name for all models, and
 * another that a cluster can give it (`P_GPU_ALIAS`). Names of single models are not known.
 *
 * Source: NVIDIA-GPU-passthrough-and-Kata-QEMU.md and genpolicy's settings, of Kata Containers 4.1.0.
 */
const gpuResources: readonly string[] = ['nvidia.com/pgpu', 'nvidia.com/gpu'];

/** Returns the GPUs that a container requests by a resource; undefined: the resource is another. */
function gpuCount(limits: Field | undefined, name: string): number | undefined {
  const count = limits?.get(name)?.scalar() ?? '';
  return gpuResources.includes(name) && /^[0-9]{1,2}$/.test(count) ? Number(count) : undefined;
}

/** Returns the number of GPUs that are passed through to a container. */
export function gpusOf(container: Field): number {
  const limits = container.in('resources', 'limits');
  return (limits?.keys() ?? []).reduce((sum, name) => sum + (gpuCount(limits, name) ?? 0), 0);
}

const words = (text: string): readonly string[] => text.split(' ');

const handler: Shape = { plain: words('httpGet sleep tcpSocket'), inside: { exec: { plain: ['command'] } } };

const probe: Shape = {
  plain: words(
    'failureThreshold grpc httpGet initialDelaySeconds periodSeconds successThreshold tcpSocket terminationGracePeriodSeconds timeoutSeconds',
  ),
  inside: { exec: { plain: ['command'] } },
};

const container: Shape = {
  plain: words(
    'args command image imagePullPolicy name ports resizePolicy restartPolicy restartPolicyRules stdin stdinOnce terminationMessagePath terminationMessagePolicy tty workingDir',
  ),
  inside: {
    lifecycle: { plain: ['stopSignal'], inside: { postStart: handler, preStop: handler } },
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    resources: { plain: words('claims limits requests') },
    securityContext: {
      plain: words(
        'allowPrivilegeEscalation appArmorProfile privileged procMount readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser seLinuxOptions seccompProfile windowsOptions',
      ),
      inside: { capabilities: { plain: words('add drop') } },
    },
  },
  each: {
    env: {
      plain: words('name value'),
      inside: {
        valueFrom: { plain: words('configMapKeyRef fieldRef fileKeyRef resourceFieldRef secretKeyRef') },
      },
    },
    envFrom: { plain: words('configMapRef prefix secretRef') },
    volumeDevices: { plain: words('devicePath name') },
    volumeMounts: {
      plain: words('mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr'),
    },
  },
};

/** `PodSpec` of the core/v1 API, as of Kubernetes 1.35, as far as this package reads it. */
const podSpec: Shape = {
  plain: words(
    'activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride imagePullSecrets nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims resources restartPolicy runtimeClassName schedulerName schedulingGates serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef',
  ),
  inside: {
    securityContext: {
      plain: words(
        'appArmorProfile fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy seLinuxOptions seccompProfile supplementalGroups supplementalGroupsPolicy windowsOptions',
      ),
      each: { sysctls: { plain: words('name value') } },
    },
  },
  each: { containers: container, initContainers: container },
};

/**
 * The known fields of a Kubernetes object. Fields with nested objects are checked too; `each` is for the elements of a
 * list.
 */
interface Shape {
  readonly plain: readonly string[];
  readonly inside?: Readonly<Record<string, Shape>>;
  readonly each?: Readonly<Record<string, Shape>>;
}

/**
 * Returns notes on fields of a pod's specification that Kubernetes does not know. A field with a name close to a known
 * one is a misspelling and an error (WorkloadError, with its position), since the intended setting would be lost.
 * Others can be from a later release.
 */
export function unknownFields(pod: Field): readonly string[] {
  return unknownIn(pod, podSpec);
}

function unknownIn(field: Field, { plain, inside = {}, each = {} }: Shape): readonly string[] {
  const known = [...plain, ...Object.keys(inside), ...Object.keys(each)];
  return field.keys().flatMap((key) => {
    const child = field.get(key);
    if (child === undefined) return [];
    if (!known.includes(key)) return [reportUnknown(child, key, known)];
    const shape = inside[key];
    if (shape !== undefined) return unknownIn(child, shape);
    const element = each[key];
    return element === undefined ? [] : field.list(key).flatMap((item) => unknownIn(item, element));
  });
}

function reportUnknown(field: Field, key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  if (near !== undefined)
    throw new WorkloadError(field.place, `unknown field ${field.path}: did you mean "${near}"?`);
  return `unknown field ${field.path}: ignored`;
}
