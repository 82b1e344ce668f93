import { enginePath } from '@kata-agent/catalogue';
import type { Container, VariableOrigin } from '../pod/container.js';
import type { ImageConfig } from '../pod/container-image.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../facts/cel-literal.js';
import type { Entry, FormMeaning, ValueForm } from '../facts/fact.js';
import {
  celText,
  expand,
  knownText,
  type Part,
  patternText,
  type Reference,
  references,
  type Resolve,
  sampleText,
} from './expansion.js';
import { hostnames, podNames, sampleHostname, samplePodName } from './sample-names.js';
import type { Origins } from './expected-call.js';

/** The variables of the API server that the kubelet sets in every container, with sample values. */
const apiServer = serviceSamples('KUBERNETES', '443', 'HTTPS');

/** The kubelet always sets the variables of the API server, after those of the image. */
const notOfApiServer = '!name.startsWith("KUBERNETES_SERVICE_") && !name.startsWith("KUBERNETES_PORT")';

/** The variables of a service of the namespace, whose name is not known in advance. */
const otherService = serviceSamples('NEIGHBOUR', '80', 'HTTP');

/** A key of a ConfigMap or Secret (Kubernetes, `IsConfigMapKey`). Shells have texts such as `$(date +%F)` that name no variable. */
const objectKey = /^[-._A-Za-z0-9]+$/;

/** A variable whose value is not known in advance: a sample, and a pattern (RE2). */
interface Unknown {
  readonly sample: string;
  /** Absent: any value. */
  readonly looksLike?: string;
  /** The source of the value: `Secret x, key k`. */
  readonly source: string;
}

/** The environment of a first process. */
export interface Environment {
  /** `NAME=value`, with samples for unknown values. */
  readonly entries: readonly string[];
  /** In the form of rules' lists. */
  readonly variables: readonly Entry[];
  /** Resolves references in the command and its arguments. */
  readonly resolve: Resolve;
  /** Returns the value in `entries`. */
  readonly sample: (name: string) => string | undefined;
}

/** Returns the hint to pass the configuration of an image. */
export function missingImage(image: string): string {
  return `the configuration of image ${image} is not given (--image-config ${image}=FILE)`;
}

/**
 * Returns the environment of a container's first process, in the order of its origins. What is not known in advance is reported to
 * `origins`, for each variable.
 */
export function environmentOf(
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
  origins: Origins,
): Environment {
  const variables = new Variables(origins);
  ofEngine(variables, workload, container, image);
  ofServices(variables, workload);
  const sources = container.variableSources.map((source) => ({
    ...source,
    keys: workload.keys.get(source.object),
    values: workload.settings.get(source.object),
  }));
  for (const { object, prefix, optional, path, keys, values } of sources) {
    const named = object.replace('/', ' ');
    if (keys === undefined) {
      const why = `${named} is not in the given files, so its keys are unknown`;
      origins.guessed('environment', `${path}: ${why}`);
      variables.openNames(fieldOf(path, container), why, prefix);
    }
    for (const key of keys ?? []) {
      const name = prefix + key;
      if (optional) origins.optionalVariables.add(name);
      const value = values?.get(key);
      const source = `${named}, key ${key}`;
      if (value === undefined) variables.setUnknown(name, { sample: 'x', source }, path, optional);
      else variables.set(name, [value], path);
    }
  }
  const unknownPrefixes = sources.flatMap(({ keys, prefix, object }) =>
    keys === undefined ? [{ prefix, source: object.replace('/', ' ') }] : [],
  );
  const services = workload.hasServiceLinks ? serviceNames.any : serviceNames.apiServer;
  const resolve: Resolve = (name) => {
    const set = variables.ofKubelet(name);
    if (set !== undefined) return set;
    const from = unknownPrefixes.find(
      ({ prefix }) => name.startsWith(prefix) && objectKey.test(name.slice(prefix.length)),
    );
    if (from !== undefined) return [{ name, mayMiss: true, open: from.source }];
    return services.test(name) ? [{ name, mayMiss: true }] : undefined;
  };
  for (const { name, value, from, optional, path } of container.variables) {
    if (optional) origins.optionalVariables.add(name);
    if (value !== undefined) {
      variables.set(name, expand(value, resolve), path);
      continue;
    }
    const source =
      from === undefined ? { sample: 'x', source: 'an unknown source' } : valueFrom(from, workload);
    if (typeof source === 'string') variables.set(name, [source], path);
    else variables.setUnknown(name, source, path, optional);
  }
  if (workload.indexed) {
    const source = 'the index of the pod';
    const index = { sample: '0', looksLike: '[0-9]+', source };
    variables.setUnknown('JOB_COMPLETION_INDEX', index, 'spec.completionMode');
  }
  return { ...variables.finish(), resolve };
}

/** What the container engine sets: the image's variables first. They are not expanded in the pod: the kubelet does not have them. */
function ofEngine(
  variables: Variables,
  workload: Workload,
  container: Container,
  image: ImageConfig | undefined,
): void {
  const imageName = `${container.path}.image`;
  const own = { ofEngine: true };
  if (image === undefined) {
    const why = missingImage(container.image);
    variables.origins.guessed('environment', why);
    variables.openNames('env', why, '');
    variables.setAny('PATH', imageName);
  }
  if (image?.env.every((entry) => !entry.startsWith('PATH=')) === true)
    variables.set('PATH', [enginePath], 'the container engine', own);
  for (const entry of image?.env ?? []) {
    const [name = '', ...value] = entry.split('=');
    variables.set(name, [value.join('=')], `${imageName}: config.Env`, own);
  }
  const source = 'the name of the pod';
  const host = { sample: sampleHostname(workload), looksLike: hostnames(workload), source };
  variables.setUnknown('HOSTNAME', host, 'the container engine: the name of the pod', false, own);
  if (container.terminal) variables.set('TERM', ['xterm'], `${container.path}.tty`, own);
}

function ofServices(variables: Variables, workload: Workload): void {
  if (workload.hasServiceLinks) {
    // A sample, to which no reference leads.
    variables.setServices(otherService, { ofEngine: true });
    variables.setServices(apiServer, {});
    variables.origins.form('variables', servicesForm('any', `${workload.path}.enableServiceLinks`));
  } else {
    variables.setServices(apiServer, {});
    variables.origins.form('variables', servicesForm('apiServer', 'the kubelet: the API server'));
  }
}

/** `spec.containers[0].envFrom[1]` as `envFrom[1]`. */
function fieldOf(path: string, container: Container): string {
  return path.replace(`${container.path}.`, '');
}

interface Setting {
  /** Whether the container engine sets it, so that references in the pod do not see it. */
  readonly ofEngine?: boolean;
}

interface Variable {
  /** Undefined: any value, of the image. */
  readonly parts: readonly Part[] | undefined;
  readonly sample: string;
  readonly reason: string;
  readonly ofEngine: boolean;
  /** The position among all settings: a later one replaces the variable. */
  readonly position: number;
  /** The form of a value that is not known in advance. */
  readonly unknown?: Unknown;
  /** Of a service: it has no line of its own. */
  readonly ofService: boolean;
}

/** The variables of one container: a later value replaces an earlier one. */
class Variables {
  readonly origins: Origins;
  readonly #all = new Map<string, Variable>();
  #position = 0;

  constructor(origins: Origins) {
    this.origins = origins;
  }

  set(name: string, parts: readonly Part[], reason: string, setting: Setting = {}): void {
    const sample = sampleText(parts, (other) => this.#all.get(other)?.sample);
    this.#add(name, { parts, sample, reason, ...setting });
  }

  /** Sets a variable of the image whose value is not known. */
  setAny(name: string, reason: string): void {
    this.#add(name, { parts: undefined, sample: 'x', reason, ofEngine: true });
  }

  setUnknown(name: string, unknown: Unknown, reason: string, mayMiss = false, setting: Setting = {}): void {
    const { sample, looksLike, source } = unknown;
    const reference: Reference = { name, mayMiss, ...(looksLike === undefined ? { open: source } : {}) };
    this.#add(name, { parts: [reference], sample, reason, unknown, ...setting });
  }

  setServices(values: Readonly<Record<string, string>>, setting: Setting): void {
    for (const [name, sample] of Object.entries(values)) {
      this.#add(name, {
        parts: [{ name, mayMiss: false }],
        sample,
        reason: 'a service',
        ofService: true,
        ...setting,
      });
    }
  }

  /** Leaves open which variables exist, beyond those of the pod: all that begin with a prefix. */
  openNames(field: string, why: string, prefix: string): void {
    this.origins.opened(
      { fact: 'variables', field: prefix === '' ? field : `${field}, variables ${prefix}*`, why },
      prefix === ''
        ? { condition: notOfApiServer, meaning: { kind: 'other variables' }, names: /^/ }
        : { condition: `name.startsWith(${celLiteral(prefix)})`, names: /^/ },
    );
  }

  /** Returns the value that references in the pod see. */
  ofKubelet(name: string): readonly Part[] | undefined {
    const found = this.#all.get(name);
    if (found === undefined || found.ofEngine) return undefined;
    const { parts } = found;
    // A value that is composed of unknown ones is the value of this variable.
    return parts === undefined || knownText(parts) === undefined
      ? [{ name, mayMiss: this.origins.optionalVariables.has(name), ...this.#openness(parts ?? []) }]
      : parts;
  }

  finish(): Omit<Environment, 'resolve'> {
    const listed: string[] = [];
    for (const [name, variable] of this.#all) {
      // Services come and go.
      if (variable.ofService) this.origins.optionalVariables.add(name);
      const entry = variable.ofService ? undefined : this.#listed(name, variable);
      if (entry !== undefined) {
        listed.push(entry);
        this.origins.of('variables', entry, variable.reason);
      }
      this.origins.of('environment', name, variable.reason);
    }
    return {
      entries: [...this.#all].map(([name, { sample }]) => `${name}=${sample}`),
      variables: listed,
      sample: (name) => this.#all.get(name)?.sample,
    };
  }

  /** Returns the line of a list; undefined: a form is all that is known of the variable. */
  #listed(name: string, { parts, unknown, reason, position }: Variable): string | undefined {
    if (parts === undefined) return name;
    const text = knownText(parts);
    if (text !== undefined) return `${name}=${text}`;
    if (unknown !== undefined) {
      if (unknown.looksLike !== undefined) {
        this.#matches(name, `^${unknown.looksLike}$`, reason);
        return undefined;
      }
      this.origins.open.push({ fact: 'variables', field: `env ${name}`, why: unknown.source });
      return name;
    }
    const { open } = this.#openness(parts);
    if (open !== undefined) {
      const shown = references(parts).map((each) => `$(${each.name})`);
      this.origins.open.push({
        fact: 'variables',
        field: `env ${name}`,
        why: `${[...new Set(shown)].join(', ')} from ${open}`,
      });
    }
    // A variable that is set again has another value in the request than the one that was expanded.
    const changed = references(parts).some((each) => (this.#all.get(each.name)?.position ?? -1) >= position);
    if (changed) this.#matches(name, patternText(parts), reason);
    else this.#form(name, `env[name] == ${celText(parts)}`, reason);
    return undefined;
  }

  #matches(name: string, pattern: string, because: string): void {
    const meaning = { kind: 'pattern', variable: name, pattern } as const;
    this.#form(name, `env[name].matches(${celLiteral(pattern)})`, because, meaning);
  }

  #form(name: string, test: string, because: string, meaning?: FormMeaning): void {
    this.origins.form('variables', {
      condition: `name == ${celLiteral(name)} && ${test}`,
      variable: name,
      ...(meaning === undefined ? {} : { meaning }),
      because,
    });
  }

  #openness(parts: readonly Part[]): Pick<Reference, 'open'> {
    const sources = [...new Set(references(parts).flatMap(({ open }) => open ?? []))];
    return sources.length === 0 ? {} : { open: sources.join(', ') };
  }

  #add(
    name: string,
    variable: Omit<Variable, 'position' | 'ofEngine' | 'ofService'> & Partial<Variable>,
  ): void {
    this.#all.set(name, {
      ofEngine: false,
      ofService: false,
      ...variable,
      position: (this.#position += 1),
    });
  }
}

const addresses = '[0-9a-f.:,]+';

const label = '[A-Za-z0-9_.-]+';

/** Resolves the source of a variable: its value, or what is known of it. */
function valueFrom(from: VariableOrigin, workload: Workload): string | Unknown {
  if (from.kind === 'resource')
    return { sample: '1', looksLike: '[0-9]+', source: 'a resource of the container' };
  if (from.kind === 'field') return valueOfField(from.fieldPath, workload);
  if (from.kind === 'secret') return { sample: 'x', source: `Secret ${from.name}, key ${from.key}` };
  const settings = workload.settings.get(`ConfigMap/${from.name}`);
  const source = `ConfigMap ${from.name}, key ${from.key}, which is not in the given files`;
  return settings?.get(from.key) ?? { sample: 'x', source };
}

function valueOfField(fieldPath: string, workload: Workload): string | Unknown {
  const source = `field ${fieldPath}`;
  const [, map, key = ''] = /^metadata[.](labels|annotations)\['(.+)'\]$/.exec(fieldPath) ?? [];
  if (map === 'labels' || map === 'annotations') return workload[map].get(key) ?? { sample: 'x', source };
  switch (fieldPath) {
    case 'metadata.name':
      return workload.namesPods
        ? { sample: samplePodName(workload), looksLike: podNames(workload), source }
        : workload.name;
    case 'metadata.namespace':
      return workload.namespace ?? { sample: 'default', looksLike: '[a-z0-9-]+', source };
    case 'metadata.uid':
      return { sample: '00000000-0000-0000-0000-000000000000', looksLike: '[0-9a-f-]+', source };
    case 'spec.serviceAccountName':
      return workload.serviceAccount;
    case 'spec.nodeName':
      return { sample: 'node', looksLike: label, source };
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
    case 'status.hostIPs':
      return { sample: '10.0.0.1', looksLike: addresses, source };
    default:
      return { sample: 'x', source };
  }
}

/** Returns the variables of a service with one TCP port, with sample values. */
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

/** What the names of service variables end with: `serviceVariables` of the gate has their meaning. */
const suffix =
  '_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[1-9][0-9]*_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$';

/** Names of service variables: of any service, and of the API server. The first includes the second. */
export const serviceNames: { readonly any: RegExp; readonly apiServer: RegExp } = {
  any: new RegExp(`^[A-Z0-9][A-Z0-9_]*${suffix}`),
  apiServer: new RegExp(`^KUBERNETES${suffix}`),
};

/** Returns the form of service variables: of any service of the namespace, or of the API server. */
function servicesForm(which: keyof typeof serviceNames, because: string): ValueForm {
  const condition = 'name in service_env';
  return {
    condition: which === 'any' ? condition : `${condition} && service_env[name] == "KUBERNETES"`,
    names: serviceNames[which],
    meaning: { kind: 'services', of: which },
    because,
  };
}
