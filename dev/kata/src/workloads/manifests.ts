// Kata's Kubernetes manifests: the pods in them, and the config maps and secrets that they use.
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

/** The fields of a pod that these tests use, as in Kubernetes' API. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: PodSpec;
}

interface PodSpec {
  readonly hostname?: string;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly shareProcessNamespace?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly dnsPolicy?: string;
  readonly dnsConfig?: { readonly nameservers?: readonly string[]; readonly searches?: readonly string[] };
  readonly securityContext?: {
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly fsGroup?: number;
    readonly supplementalGroups?: readonly number[];
    readonly sysctls?: readonly { readonly name: string; readonly value: string }[];
  };
}

export interface Container {
  readonly name: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly envFrom?: readonly { readonly configMapRef?: Named; readonly secretRef?: Named }[];
  readonly resources?: { readonly limits?: Quantities; readonly requests?: Quantities };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
    readonly readOnly?: boolean;
  }[];
  readonly tty?: boolean;
  readonly stdin?: boolean;
  readonly lifecycle?: { readonly postStart?: Handler; readonly preStop?: Handler };
  readonly livenessProbe?: Handler;
  readonly terminationMessagePath?: string;
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
    readonly seccompProfile?: { readonly type: string };
  };
}

interface Named {
  readonly name: string;
}

interface KeyOf extends Named {
  readonly key: string;
}

type Quantities = Readonly<Record<string, string | number>>;

interface Handler {
  readonly exec?: { readonly command: readonly string[] };
}

export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly resourceFieldRef?: { readonly resource: string };
    readonly configMapKeyRef?: KeyOf;
    readonly secretKeyRef?: KeyOf;
  };
}

export interface Volume {
  readonly name: string;
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string } | null;
  readonly configMap?: { readonly name: string; readonly optional?: boolean };
  readonly secret?: { readonly secretName: string; readonly optional?: boolean };
  readonly projected?: {
    readonly sources: readonly { readonly secret?: Named; readonly configMap?: Named }[];
  };
  readonly hostPath?: { readonly path: string };
}

/** The files of config maps or of secrets, by the name of the object. */
export type DataByName = ReadonlyMap<string, Readonly<Record<string, string>>>;

export interface Manifests {
  readonly pods: readonly Pod[];
  readonly configMaps: DataByName;
  readonly secrets: DataByName;
}

/** Reads files, after replacing each key of `values` by its value, as Kata's tests do. */
export function readManifests(
  files: readonly string[],
  values: Readonly<Record<string, string>> = {},
): Manifests {
  const pods: Pod[] = [];
  const configMaps = new Map<string, Readonly<Record<string, string>>>();
  const secrets = new Map<string, Readonly<Record<string, string>>>();
  for (const file of files)
    for (const object of objectsOf(replaced(readFileSync(file, 'utf8'), values))) {
      const pod = podOf(object);
      if (pod !== undefined) pods.push(pod);
      if (object.kind === 'ConfigMap') configMaps.set(object.metadata.name, object.data ?? {});
      if (object.kind === 'Secret') secrets.set(object.metadata.name, secretData(object));
    }
  return { pods, configMaps, secrets };
}

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: Pod['metadata'];
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

function replaced(text: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce((now, [name, value]) => now.replaceAll(name, value), text);
}

function objectsOf(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value: unknown = document.toJS();
    return value === null ? [] : [value as KubernetesObject];
  });
}

/** Returns the pod, or the template of the pods of a workload, which has the workload's name. */
function podOf({ kind, metadata, spec }: KubernetesObject): Pod | undefined {
  const template = (owner: unknown): PodSpec => (owner as { template: { spec: PodSpec } }).template.spec;
  switch (kind) {
    case 'Pod':
      return { metadata, spec: spec as PodSpec };
    case 'Deployment':
    case 'Job':
    case 'ReplicationController':
      return { metadata: { name: metadata.name }, spec: template(spec) };
    case 'CronJob':
      return {
        metadata: { name: metadata.name },
        spec: template((spec as { jobTemplate: { spec: unknown } }).jobTemplate.spec),
      };
    default:
      return undefined;
  }
}

function secretData({ data = {}, stringData = {} }: KubernetesObject): Readonly<Record<string, string>> {
  const decoded = Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]);
  return { ...Object.fromEntries(decoded), ...stringData };
}

// Quantities of Kubernetes: "500m" CPUs, "200Mi" bytes.
const units: Readonly<Record<string, number>> = {
  '': 1,
  m: 1 / 1000,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** Returns the number: CPUs or bytes. */
export function quantity(text: string | number): number {
  const [, digits = '', unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(String(text)) ?? [];
  const factor = units[unit];
  if (digits === '' || factor === undefined) throw new Error(`${text} is not a quantity`);
  return Number(digits) * factor;
}
