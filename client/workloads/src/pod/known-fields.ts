import { nearest } from '@kata-agent/config';
import { type Field, WorkloadError } from './field.js';

/**
 * The known fields of a Kubernetes object. Fields with nested objects are checked too; `each` is for the elements of a
 * list.
 */
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
