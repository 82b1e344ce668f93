import { enginePath } from '@kata-agent/catalogue';
import type { Container, VariableOrigin } from '../pod/container.js';
import type { ImageConfig } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import type { ValueForm } from '../facts/value-form.js';
import { celLiteral } from '../facts/cel-literal.js';
import type { Entry } from '../facts/fact-name.js';
import { hostnames, podNames, sampleHostname, samplePodName } from './host-name.js';
import type { Origins } from './origins.js';

/** Variables by name; undefined: set, with an unknown value. */
export type Environment = ReadonlyMap<string, string | undefined>;

/** The variables of the API server that the kubelet sets in every container, with sample values. */
const apiServer = serviceSamples('KUBERNETES', '443', 'HTTPS');

/** The variables of a service of the namespace, whose name is not known in advance. */
const otherService = serviceSamples('NEIGHBOUR', '80', 'HTTP');

/** Source: Kubernetes `pkg/kubelet/envvars/envvars.go`. */
function serviceSamples(name: string, port: string, word: string): Readonly<Record<string, string>> {
  const address = '10.96.0.1';
  return {
    [`${name}_SERVICE_HOST`]: address,
    [`${name}_SERVICE_PORT`]: port,
    [`${name}_SERVICE_PORT_${word}`]: port,
    [`${name}_PORT`]: `tcp://${address}:${port}`,
    [`${name}_PORT_${port}_TCP`]: `tcp://${address}:${port}`,
    [`${name}_PORT_${port}_TCP_PROTO`]: 'tcp',
    [`${name}_PORT_${port}_TCP_PORT`]: port,
    [`${name}_PORT_${port}_TCP_ADDR`]: address,
  };
}

/** Patterns for names of service variables: of any service, and of the API server. The first includes the second. */
export const serviceNames: { readonly any: RegExp; readonly apiServer: RegExp } = {
  any: /_SERVICE_|_PORT/,
  apiServer: /^KUBERNETES_/,
};

/**
 * Pattern for entries of service variables with any name and port. Addresses, port numbers and protocol names are
 * harmless under any name. The pattern is short, since a large namespace has thousands of entries.
 */
function services(which: keyof typeof serviceNames, because: string): ValueForm {
  const values = celLiteral('^(tcp|udp|sctp)?[0-9a-f.:/\\[\\]]*$');
  const called =
    which === 'any'
      ? '(name.contains("_SERVICE_") || name.contains("_PORT"))'
      : 'name.startsWith("KUBERNETES_")';
  return { condition: `${called} && env[name].matches(${values})`, names: serviceNames[which], because };
}

/** A variable whose value is not known in advance: a sample, and a pattern (RE2). */
interface Unknown {
  readonly sample: string;
  /** Absent: any value. */
  readonly looksLike?: string;
}

/**
 * Returns the environment of a container's first process, in the order of its origins, as entries `NAME=value` with
 * samples for unknown values. Values that rules can use are reported to `origins`.
 */
export function environmentOf(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  origins: Origins,
): {
  readonly entries: readonly string[];
  readonly known: Environment;
  readonly variables: readonly Entry[];
} {
  const known = new Map<string, string | undefined>();
  const samples = new Map<string, string>();
  const listed = new Map<string, Entry>();
  const because = new Map<string, string>();
  const set = (name: string, value: string | undefined, reason: string): void => {
    known.set(name, value);
    samples.set(name, value ?? 'x');
    listed.set(name, value === undefined ? name : `${name}=${value}`);
    because.set(name, reason);
  };
  const state = (name: string, value: string | undefined, reason: string): void => {
    if (value !== undefined) origins.statedVariables.add(name);
    set(name, value, reason);
  };
  const setUnknown = (name: string, { sample, looksLike }: Unknown, reason: string): void => {
    set(name, undefined, reason);
    samples.set(name, sample);
    if (looksLike === undefined) return;
    listed.delete(name);
    const value = `env[name].matches(${celLiteral(`^${looksLike}$`)})`;
    const condition = `name == ${celLiteral(name)} && ${value}`;
    origins.form('variables', { condition, because: reason });
  };
  const setServices = (
    values: Readonly<Record<string, string>>,
    which: keyof typeof serviceNames,
    reason: string,
  ): void => {
    for (const [name, value] of Object.entries(values)) {
      set(name, undefined, reason);
      samples.set(name, value);
      listed.delete(name);
    }
    origins.form('variables', services(which, reason));
  };
  const imageName = `${container.path}.image`;
  if (image === undefined) {
    origins.guessed('environment', `the variables of image ${container.image} are unknown (${imageName})`);
    set('PATH', undefined, imageName);
  }
  if (image?.env.every((entry) => !entry.startsWith('PATH=')) === true)
    set('PATH', enginePath, 'the container engine');
  for (const entry of image?.env ?? []) {
    const [name = '', ...value] = entry.split('=');
    set(name, value.join('='), `${imageName}: config.Env`);
  }
  const host = { sample: sampleHostname(workload), looksLike: hostnames(workload) };
  setUnknown('HOSTNAME', host, 'the container engine: the name of the pod');
  if (container.terminal) set('TERM', 'xterm', `${container.path}.tty`);
  if (workload.hasServiceLinks)
    setServices({ ...apiServer, ...otherService }, 'any', `${workload.path}.enableServiceLinks`);
  else setServices(apiServer, 'apiServer', 'the kubelet: the API server');
  for (const source of container.variableSources) {
    const keys = workload.keys.get(source.object);
    if (keys === undefined) {
      const object = source.object.replace('/', ' ');
      origins.guessed(
        'environment',
        `${source.path}: ${object} is not in the given files, so its keys are unknown`,
      );
    }
    for (const key of keys ?? []) {
      if (source.optional) origins.optionalVariables.add(source.prefix + key);
      set(source.prefix + key, workload.settings.get(source.object)?.get(key), source.path);
    }
  }
  for (const variable of container.variables) {
    const { name, value, path } = variable;
    if (variable.optional) origins.optionalVariables.add(name);
    if (value !== undefined) {
      state(name, expand(value, known), path);
      continue;
    }
    const source = variable.from === undefined ? { sample: 'x' } : valueFrom(variable.from, workload);
    if (typeof source === 'string') state(name, source, path);
    else setUnknown(name, source, path);
  }
  if (workload.indexed)
    setUnknown('JOB_COMPLETION_INDEX', { sample: '0', looksLike: '[0-9]+' }, 'spec.completionMode');
  for (const [name, entry] of listed) {
    origins.of('variables', entry, because.get(name) ?? '');
  }
  for (const [name, reason] of because) origins.of('environment', name, reason);
  return {
    entries: [...samples].map(([name, value]) => `${name}=${value}`),
    known,
    variables: [...listed.values()],
  };
}

const addresses = '[0-9a-f.:,]+';
const label = '[A-Za-z0-9_.-]+';

/** Resolves the source of a variable: its value, or what is known of it. */
function valueFrom(from: VariableOrigin, workload: Workload): string | Unknown {
  if (from.kind === 'resource') return { sample: '1', looksLike: '[0-9]+' };
  if (from.kind === 'configMap')
    return workload.settings.get(`ConfigMap/${from.name}`)?.get(from.key) ?? { sample: 'x' };
  const { fieldPath } = from;
  const [, map, key = ''] = /^metadata[.](labels|annotations)\['(.+)'\]$/.exec(fieldPath) ?? [];
  if (map === 'labels' || map === 'annotations') return workload[map].get(key) ?? { sample: 'x' };
  switch (fieldPath) {
    case 'metadata.name':
      return workload.namesPods
        ? { sample: samplePodName(workload), looksLike: podNames(workload) }
        : workload.name;
    case 'metadata.namespace':
      return workload.namespace ?? { sample: 'default', looksLike: '[a-z0-9-]+' };
    case 'metadata.uid':
      return { sample: '00000000-0000-0000-0000-000000000000', looksLike: '[0-9a-f-]+' };
    case 'spec.serviceAccountName':
      return workload.serviceAccount;
    case 'spec.nodeName':
      return { sample: 'node', looksLike: label };
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
    case 'status.hostIPs':
      return { sample: '10.0.0.1', looksLike: addresses };
    default:
      return { sample: 'x' };
  }
}

/**
 * Expands variables as Kubernetes does: `$(NAME)` is the variable's value, or is left if there is none; `$$` is `$`.
 * Returns undefined if it refers to an unknown value.
 */
export function expand(text: string, environment: Environment): string | undefined {
  let known = true;
  const expanded = text.replace(/\$\$|\$\(([^)]*)\)/g, (found, name: string | undefined) => {
    if (name === undefined) return '$';
    if (!environment.has(name)) return found;
    const value = environment.get(name);
    known &&= value !== undefined;
    return value ?? found;
  });
  return known ? expanded : undefined;
}
