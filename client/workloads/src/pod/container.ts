import type { Feature } from './feature.js';
import { Field, optional } from './field.js';
import { gpusOf } from './unserved-fields.js';

/** One variable of `env`. */
interface Variable {
  readonly name: string;
  /** The value in the pod; absent if it comes from elsewhere. */
  readonly value?: string;
  /** The source of a value that is not in the pod; absent: unknown. */
  readonly from?: VariableOrigin;
  /** Whether the variable is omitted if its source does not exist. */
  readonly optional: boolean;
  readonly path: string;
}

export type VariableOrigin =
  | { readonly kind: 'field'; readonly fieldPath: string }
  | { readonly kind: 'configMap' | 'secret'; readonly name: string; readonly key: string }
  | { readonly kind: 'resource' };

/** One element of `envFrom`: every key of a ConfigMap or Secret becomes a variable. */
interface VariableSource {
  /** `ConfigMap/settings`. */
  readonly object: string;
  readonly prefix: string;
  readonly optional: boolean;
  readonly path: string;
}

export interface VolumeMount {
  readonly volume: string;
  readonly mountPath: string;
  readonly readOnly: boolean;
  /** Mount propagation, as in mount(8). */
  readonly propagation: 'rprivate' | 'rslave' | 'rshared';
  /** Whether it is a part of the volume: `subPath`, `subPathExpr`. */
  readonly part: boolean;
  readonly path: string;
}

/** A command that the kubelet executes in a running container. */
export interface KubeletCommand {
  readonly argv: readonly string[];
  readonly feature: Extract<Feature, 'exec probes' | 'lifecycle hooks' | 'kubectl exec'>;
  readonly path: string;
}

/** A container of a pod, as far as it affects the agent's API. */
export interface Container {
  readonly role: 'init' | 'sidecar' | 'main';
  readonly name: string;
  readonly image: string;
  readonly path: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly variables: readonly Variable[];
  readonly variableSources: readonly VariableSource[];
  readonly mounts: readonly VolumeMount[];
  readonly devices: readonly { readonly devicePath: string; readonly path: string }[];
  readonly kubeletCommands: readonly KubeletCommand[];
  readonly capabilities: { readonly add: readonly Field[]; readonly drop: readonly Field[] };
  readonly privileged: boolean;
  /** Whether setuid programs and file capabilities raise privileges (no no_new_privs). */
  readonly mayGainPrivileges: boolean;
  readonly readOnlyRoot: boolean;
  /** Whether /proc is unmasked: procMount. */
  readonly unmasked: boolean;
  readonly user?: number;
  readonly group?: number;
  readonly stdin: boolean;
  readonly terminal: boolean;
  /** Whether it has a CPU or memory limit. */
  readonly limited: boolean;
  /** The number of NVIDIA's GPUs that are passed through to it. */
  readonly gpus: number;
  readonly terminationMessagePath: string;
  /** The name of the node's profile. */
  readonly apparmorProfile?: string;
  readonly stopSignal?: string;
}

/** Parses one element of `containers` or `initContainers`. Throws WorkloadError. */
export function readContainer(field: Field, initial: boolean): Container {
  const security = field.get('securityContext');
  const lifecycle = field.get('lifecycle');
  const sidecar = initial && field.get('restartPolicy')?.text() === 'Always';
  return {
    role: sidecar ? 'sidecar' : initial ? 'init' : 'main',
    name: field.required('name').text(),
    image: field.required('image').text(),
    path: field.path,
    ...optional('command', texts(field, 'command')),
    ...optional('args', texts(field, 'args')),
    ...optional('workingDir', field.get('workingDir')?.text()),
    variables: field.list('env').map(readVariable),
    variableSources: field.list('envFrom').map(readVariableSource),
    mounts: field.list('volumeMounts').map(readMount),
    devices: field.list('volumeDevices').map((device) => ({
      devicePath: device.required('devicePath').text(),
      path: device.path,
    })),
    kubeletCommands: [
      ...commandOf(field.get('startupProbe'), 'exec probes'),
      ...commandOf(field.get('livenessProbe'), 'exec probes'),
      ...commandOf(field.get('readinessProbe'), 'exec probes'),
      ...commandOf(lifecycle?.get('postStart'), 'lifecycle hooks'),
      ...commandOf(lifecycle?.get('preStop'), 'lifecycle hooks'),
    ],
    capabilities: {
      add: security?.get('capabilities')?.list('add') ?? [],
      drop: security?.get('capabilities')?.list('drop') ?? [],
    },
    privileged: security?.get('privileged')?.flag() ?? false,
    mayGainPrivileges: security?.get('allowPrivilegeEscalation')?.flag() ?? true,
    readOnlyRoot: security?.get('readOnlyRootFilesystem')?.flag() ?? false,
    unmasked: security?.get('procMount')?.text() === 'Unmasked',
    ...optional('user', security?.get('runAsUser')?.whole()),
    ...optional('group', security?.get('runAsGroup')?.whole()),
    stdin: field.get('stdin')?.flag() ?? false,
    terminal: field.get('tty')?.flag() ?? false,
    limited: (field.in('resources', 'limits')?.keys() ?? []).some((key) => key === 'cpu' || key === 'memory'),
    gpus: gpusOf(field),
    terminationMessagePath: field.get('terminationMessagePath')?.text() ?? '/dev/termination-log',
    ...optional('apparmorProfile', security?.in('appArmorProfile', 'localhostProfile')?.text()),
    ...optional('stopSignal', lifecycle?.get('stopSignal')?.text()),
  };
}

function readVariable(field: Field): Variable {
  const name = field.required('name').text();
  const from = field.get('valueFrom');
  if (from === undefined)
    return { name, value: field.get('value')?.scalar() ?? '', optional: false, path: field.path };
  const source = from.get('configMapKeyRef') ?? from.get('secretKeyRef');
  const mayMiss = source?.get('optional')?.flag() ?? false;
  return { name, optional: mayMiss, path: field.path, ...optional('from', originOf(from)) };
}

function originOf(from: Field): VariableOrigin | undefined {
  const fieldPath = from.in('fieldRef', 'fieldPath')?.text();
  if (fieldPath !== undefined) return { kind: 'field', fieldPath };
  for (const kind of ['configMap', 'secret'] as const) {
    const source = from.get(`${kind}KeyRef`);
    if (source !== undefined)
      return { kind, name: source.required('name').text(), key: source.required('key').text() };
  }
  return from.get('resourceFieldRef') === undefined ? undefined : { kind: 'resource' };
}

function readVariableSource(field: Field): VariableSource {
  const map = field.get('configMapRef');
  const object = map === undefined ? field.required('secretRef') : map;
  const kind = map === undefined ? 'Secret' : 'ConfigMap';
  return {
    object: `${kind}/${object.required('name').text()}`,
    prefix: field.get('prefix')?.text() ?? '',
    optional: object.get('optional')?.flag() ?? false,
    path: field.path,
  };
}

function readMount(field: Field): VolumeMount {
  return {
    volume: field.required('name').text(),
    mountPath: field.required('mountPath').text(),
    readOnly: field.get('readOnly')?.flag() ?? false,
    propagation: propagationOf(field.get('mountPropagation')?.text()),
    part: field.get('subPath') !== undefined || field.get('subPathExpr') !== undefined,
    path: field.path,
  };
}

function propagationOf(word: string | undefined): VolumeMount['propagation'] {
  if (word === 'Bidirectional') return 'rshared';
  return word === 'HostToContainer' ? 'rslave' : 'rprivate';
}

function commandOf(field: Field | undefined, feature: KubeletCommand['feature']): readonly KubeletCommand[] {
  const exec = field?.get('exec');
  return exec === undefined ? [] : [{ argv: texts(exec, 'command') ?? [], feature, path: exec.path }];
}

function texts(field: Field, key: string): readonly string[] | undefined {
  return field.get(key) === undefined ? undefined : field.list(key).map((element) => element.scalar());
}
