import { nearest } from '@kata-agent/config';
import { type Field, WorkloadError } from './field.js';

/** The fields of an object of Kubernetes; those with a shape of their own are looked into, `each` for a list's elements. */
interface Shape {
  readonly plain: readonly string[];
  readonly inside?: Readonly<Record<string, Shape>>;
  readonly each?: Readonly<Record<string, Shape>>;
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
 * What a pod's specification has that Kubernetes does not know, in words. A field that is nearly one of its own is taken
 * for a misspelling, which would leave out what was meant: WorkloadError, with its place. Others may be of a later release.
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
    throw new WorkloadError(field.place, `${field.path} is no field of Kubernetes: did you mean "${near}"?`);
  return `${field.path} is not known and not looked at`;
}
