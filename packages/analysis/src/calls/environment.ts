import type { Container } from '../pod/container.js';
import type { ImageConfig } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import type { Origins } from './origins.js';

/** Variables by name; undefined: set, but its value is not known here. */
export type Environment = ReadonlyMap<string, string | undefined>;

/** The variables by which the kubelet tells every container of the API server, with sample values. */
const apiServer = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  KUBERNETES_SERVICE_PORT_HTTPS: '443',
  KUBERNETES_PORT: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
  KUBERNETES_PORT_443_TCP_PORT: '443',
  KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
};

/** The same for a service of the namespace whose name nobody knows beforehand. */
const otherService = {
  NEIGHBOUR_SERVICE_HOST: '10.96.7.7',
  NEIGHBOUR_SERVICE_PORT: '80',
  NEIGHBOUR_SERVICE_PORT_HTTP: '80',
  NEIGHBOUR_PORT: 'tcp://10.96.7.7:80',
  NEIGHBOUR_PORT_80_TCP: 'tcp://10.96.7.7:80',
  NEIGHBOUR_PORT_80_TCP_PROTO: 'tcp',
  NEIGHBOUR_PORT_80_TCP_PORT: '80',
  NEIGHBOUR_PORT_80_TCP_ADDR: '10.96.7.7',
};

/**
 * Names of the variables of services, of whatever name and ports (RE2).
 * Source: Kubernetes `pkg/kubelet/envvars/envvars.go`.
 */
export const serviceVariables =
  '^[A-Z_][A-Z0-9_]*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$';

/** The environment of a container's first process, in the order in which it comes about. */
export function environmentOf(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  origins: Origins,
): Environment {
  const environment = new Map<string, string | undefined>();
  const set = (name: string, value: string | undefined, because: string): void => {
    environment.set(name, value);
    origins.of('environment', name, because);
  };
  const imageName = `${container.path}.image`;
  if (image === undefined) {
    origins.guessed('environment', `the variables of image ${container.image} are not known (${imageName})`);
    set('PATH', undefined, imageName);
  }
  if (image?.env.every((entry) => !entry.startsWith('PATH=')) === true) {
    set('PATH', undefined, 'the container engine');
  }
  for (const entry of image?.env ?? []) {
    const [name = '', ...value] = entry.split('=');
    set(name, value.join('='), `${imageName}: config.Env`);
  }
  set('HOSTNAME', undefined, 'the container engine');
  if (container.terminal) set('TERM', 'xterm', `${container.path}.tty`);
  for (const [name, value] of Object.entries(apiServer)) set(name, value, 'the kubelet');
  if (workload.hasServiceLinks)
    for (const [name, value] of Object.entries(otherService)) environment.set(name, value);
  for (const source of container.variableSources) {
    const keys = workload.keys.get(source.object);
    if (keys === undefined) {
      const object = source.object.replace('/', ' ');
      origins.guessed(
        'environment',
        `${source.path}: ${object} is not in the files given, so its keys are not known`,
      );
    }
    for (const key of keys ?? []) set(source.prefix + key, undefined, source.path);
  }
  for (const variable of container.variables) {
    const value = variable.value === undefined ? undefined : expand(variable.value, environment);
    set(variable.name, value, variable.path);
  }
  if (workload.indexed) set('JOB_COMPLETION_INDEX', '0', 'spec.completionMode');
  return environment;
}

/**
 * Kubernetes' expansion: `$(NAME)` is the value of a variable, or stays if there is none; `$$` is `$`. Undefined: it
 * refers to a value that is not known here.
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
