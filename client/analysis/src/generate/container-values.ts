import { engineMounts } from '@kata-agent/catalogue/profiles';
import {
  type Entry,
  type FactName,
  hostnames,
  imageNames,
  type MountedVolume,
  originKey,
  type ValueForm,
  watchedDriver,
  type Workload,
} from '@kata-agent/workloads';
import type { Process } from '@kata-agent/protocol/oci';
import { asCreate, asProcess } from './each-container.js';
import type { ContainerValues, Given } from '../write/profile-use.js';
import type { AskedCall } from './asked-call.js';

/** What a container's calls say: its values, and the rules of the profile that they do not fit. */
export interface ReadContainer {
  readonly values: ContainerValues;
  /** Names of rules: `create-container-commands`. */
  readonly misfits: ReadonlySet<string>;
}

/** How files of the host reach the guest. */
export interface FilesOf {
  /** They are copied. */
  readonly copies: boolean;
  /** Their sources have the names that they have on the host. */
  readonly named: boolean;
}

const shared = '/run/kata-containers/shared/containers/';

/** Reads the values of a container from its creation and from the commands that are executed in it. */
export function readContainer(
  created: AskedCall,
  execs: readonly AskedCall[],
  workload: Workload,
  { copies, named }: FilesOf,
): ReadContainer {
  const { call, ask } = created;
  const name = call.container ?? '';
  const container = workload.containers.find((each) => each.name === name);
  const process = asProcess(call);
  const misfits = new Misfits();
  const termination = container?.terminationMessagePath ?? '/dev/termination-log';
  const isReadOnly = asCreate(call)?.OCI?.Root?.Readonly === true;
  const mounts = readMounts(
    created,
    engineMounts({ isPause: name === '', readOnlyRoot: isReadOnly, termination }),
    named,
    misfits,
  );
  const values: Record<string, Given | readonly Given[]> = {
    name: { value: name, ...(ask.because[0] === undefined ? {} : { because: ask.because[0] }) },
    images:
      container === undefined
        ? []
        : imageNames(container.image).map((value) => ({ value, because: `${ask.because[0] ?? name}.image` })),
    ...readProcess(created, workload, misfits),
    terminal: { value: process?.Terminal === true },
    no_new_privileges: { value: process?.NoNewPrivileges === true },
    read_only_root: { value: isReadOnly },
    termination: { value: termination },
    mounts,
    storages: readStorages(created, copies, misfits),
    exec: readExecs(created, execs, misfits),
    ...orderOf(workload, name),
  };
  if (ask.values?.get('privileges')?.length !== 1) misfits.ofProcess('privileges');
  if (ask.values?.get('root')?.length !== 1) misfits.ofContainer('roots');
  return { values, misfits: misfits.names };
}

/** Collects the rules of the profile that a container does not fit. */
class Misfits {
  readonly names: Set<string> = new Set();

  ofContainer(...rules: readonly string[]): void {
    for (const rule of rules) this.names.add(`create-container-${rule}`);
  }

  ofExec(...rules: readonly string[]): void {
    for (const rule of rules) this.names.add(`exec-process-${rule}`);
  }

  /** Of the container's own process; an exec is compared with the same values. */
  ofProcess(...rules: readonly string[]): void {
    this.ofContainer(...rules);
    this.ofExec(...rules);
  }
}

function readProcess(
  asked: AskedCall,
  workload: Workload,
  misfits: Misfits,
): Record<string, Given | readonly Given[]> {
  const { call, ask } = asked;
  const process = asProcess(call);
  const one = (fact: FactName, rule: string): Given => {
    const [value, ...more] = ask.values?.get(fact) ?? [];
    if (value === undefined || more.length > 0 || hasForms(asked, fact)) misfits.ofProcess(rule);
    return given(asked, fact, value ?? '');
  };
  const list = (fact: FactName, rule: string): readonly Given[] => {
    if (hasForms(asked, fact)) misfits.ofProcess(rule);
    return (ask.values?.get(fact) ?? []).map((value) => given(asked, fact, value));
  };
  const [line = [], ...others] = ask.values?.get('commandLine') ?? [];
  if (others.length > 0 || !Array.isArray(line) || line.length === 0 || hasForms(asked, 'commandLine'))
    misfits.ofContainer('commands');
  const capabilities = list('capabilities', 'capabilities');
  if (!fitsCapabilitySets(process, capabilities)) misfits.ofProcess('capability-sets');
  return {
    args: { ...given(asked, 'commandLine', line), value: Array.isArray(line) ? line.slice(1) : [] },
    ...readVariables(asked, workload, misfits),
    cwd: one('cwd', 'directories'),
    user: one('user', 'users'),
    groups: list('groups', 'groups'),
    capabilities,
  };
}

/** Kernels and engines differ in the set of all capabilities: no rule requires it. */
function fitsCapabilitySets(process: Process | undefined, listed: readonly Given[]): boolean {
  const bounding = process?.Capabilities?.Bounding ?? [];
  return bounding.length <= 30 && bounding.length === listed.length;
}

const like = /^name == ("(?:[^"\\]|\\.)*") && env\[name\]\.matches\(("(?:[^"\\]|\\.)*")\)$/;

const services = /^name in service_env( && service_env\[name\] == "KUBERNETES")?$/;

function readVariables(
  asked: AskedCall,
  workload: Workload,
  misfits: Misfits,
): Record<string, readonly Given[]> {
  const { call, ask } = asked;
  const listed = ask.values?.get('variables') ?? [];
  const nameOf = (entry: Entry): string => String(entry).split('=')[0] ?? '';
  const own = new Set(listed.map(nameOf));
  const shaped: Given[] = [];
  let ownHostname = listed.some((entry) => nameOf(entry) === 'HOSTNAME');
  for (const form of ask.forms?.get('variables') ?? []) {
    const pattern = likeOf(form);
    if (pattern === undefined) {
      if (!services.test(form.condition ?? '')) misfits.ofProcess('environment');
      continue;
    }
    own.add(pattern.name);
    if (pattern.name !== 'HOSTNAME') shaped.push({ value: pattern, because: form.because });
    else if (pattern.pattern !== `^${hostnames(workload)}$`) ownHostname = true;
  }
  const isPause = (call.container ?? '') === '';
  const required = new Set(
    [...own, ...(asProcess(call)?.Env ?? []).map(nameOf)].filter((name) => !call.optionalVariables.has(name)),
  );
  for (const name of required) if (!own.has(name)) misfits.ofProcess('environment-complete');
  if (ownHostname || (!isPause && !required.has('HOSTNAME')))
    misfits.ofProcess('environment', 'environment-complete');
  for (const form of ask.forms?.get('variables') ?? [])
    if (form.names !== undefined && [...own].some((name) => form.names?.test(name) === true))
      misfits.ofProcess('environment');
  const entries = (isValue: boolean): readonly Given[] =>
    listed
      .filter((entry) => String(entry).includes('=') === isValue)
      .map((entry) => given(asked, 'variables', entry));
  return {
    env: entries(true),
    any_env: entries(false),
    env_like: shaped,
    optional_env: [...own].filter((name) => call.optionalVariables.has(name)).map((value) => ({ value })),
  };
}

function likeOf({
  condition = '',
}: ValueForm): { readonly name: string; readonly pattern: string } | undefined {
  const [, name, pattern] = like.exec(condition) ?? [];
  if (name === undefined || pattern === undefined) return undefined;
  // Escapes of CEL that JSON does not have: \U and \'.
  if (/\\[U']/.test(name + pattern)) return undefined;
  return { name: JSON.parse(name) as string, pattern: JSON.parse(pattern) as string };
}

function readMounts(
  asked: AskedCall,
  ofEngine: readonly (readonly string[])[],
  named: boolean,
  misfits: Misfits,
): readonly Given[] {
  const { call, ask } = asked;
  const table = (ask.values?.get('mountTable') ?? []).filter((row) =>
    Array.isArray(row),
  ) as (readonly string[])[];
  if (
    hasForms(asked, 'mountTable') ||
    table.length !== asCreate(call)?.OCI?.Mounts.length ||
    table.length > 64
  )
    misfits.ofContainer('mounts', 'mounts-complete', 'mount-order');
  const volumeAt = (destination: string | undefined): MountedVolume | undefined =>
    call.volumes?.find((volume) => volume.destination === destination);
  // A volume of the pod at a mount point of the engine can have the same row.
  const own = table.filter(
    (row) =>
      isOfPod(volumeAt(row[1])) || !ofEngine.some((each) => JSON.stringify(each) === JSON.stringify(row)),
  );
  const replaced = new Set(own.map(([, destination]) => destination));
  const there = new Set(table.map(([, destination]) => destination));
  for (const [, destination] of ofEngine)
    if (
      !there.has(destination) ||
      (replaced.has(destination) && table.filter((row) => row[1] === destination).length > 1)
    )
      misfits.ofContainer('mounts', 'mounts-complete', 'file-sources');
  return own.map((row) => {
    const [type = '', to = '', from = '', ...options] = row;
    const volume = volumeAt(to);
    const pattern = volume?.hostName.pattern;
    return {
      ...given(asked, 'mountTable', row),
      value: {
        to,
        type,
        from,
        options,
        ...(volume === undefined || !(type === 'local' || (named && type === 'bind' && from === shared))
          ? {}
          : pattern === undefined
            ? { name: volume.hostName.sample }
            : { name_pattern: `/sandbox-.{8}-${pattern}$` }),
        watched: volume?.isWatched === true,
      },
    };
  });
}

/** Reports whether a mount is of a volume of the pod or of an image, and not of a file that the engine or the kubelet makes. */
function isOfPod(volume: MountedVolume | undefined): boolean {
  return volume !== undefined && !volume.subject.startsWith('pod ') && volume.isTermination !== true;
}

const pulledImage = ['image_guest_pull', 'overlay', '/run/kata-containers/'];

function readStorages(asked: AskedCall, copies: boolean, misfits: Misfits): readonly Given[] {
  const { call, ask } = asked;
  const table = (ask.values?.get('storageTable') ?? []).filter((row) =>
    Array.isArray(row),
  ) as (readonly string[])[];
  const own = table.filter((row) => !copies || JSON.stringify(row) !== JSON.stringify(pulledImage));
  if (hasForms(asked, 'storageTable') || (copies && own.length !== table.length - 1))
    misfits.ofContainer('storages');
  const sent = asCreate(call)?.storages ?? [];
  const always = sent.filter(({ driver }) => driver !== watchedDriver);
  const places = sent.map(({ mountPoint }) => mountPoint);
  const listed = own.filter(([driver]) => driver !== watchedDriver);
  if (always.length !== listed.length + (copies ? 1 : 0) || new Set(places).size < places.length)
    misfits.ofContainer('storages-complete');
  return own.map((row) => {
    const [driver, type, to, ...options] = row;
    return { ...given(asked, 'storageTable', row), value: { driver, type, to, options } };
  });
}

/** The facts of an exec that the profile takes from its container, and the rules about them. */
const ofContainer: readonly (readonly [FactName, ...(readonly string[])])[] = [
  ['variables', 'environment', 'environment-complete'],
  ['cwd', 'directories'],
  ['user', 'users'],
  ['groups', 'groups'],
  ['privileges', 'privileges'],
  ['capabilities', 'capabilities', 'capability-sets'],
];

function readExecs(created: AskedCall, execs: readonly AskedCall[], misfits: Misfits): readonly Given[] {
  const lines: Given[] = [];
  for (const exec of execs) {
    const [line = [], ...others] = exec.ask.values?.get('commandLine') ?? [];
    if (others.length > 0 || !Array.isArray(line) || line.length === 0 || hasForms(exec, 'commandLine'))
      misfits.ofExec('commands');
    else lines.push({ ...given(exec, 'commandLine', line), value: line.slice(1) });
    for (const [fact, ...rules] of ofContainer)
      if (known(exec, fact) !== known(created, fact)) {
        misfits.ofExec(...rules);
      }
  }
  return merged(lines);
}

/** Everything that rules would have of a fact, to compare it. */
function known({ ask }: AskedCall, fact: FactName): string {
  const forms = (ask.forms?.get(fact) ?? []).map(({ condition, names }) => [condition, names?.source]);
  return JSON.stringify([(ask.values?.get(fact) ?? []).map((value) => JSON.stringify(value)).sort(), forms]);
}

/** Which containers must have run before, and which must not exist yet. */
function orderOf({ containers }: Workload, name: string): Record<string, Given | readonly Given[]> {
  const index = containers.findIndex((each) => each.name === name);
  if (index < 0) return {};
  const earlier = containers.slice(0, index);
  const names = (of: readonly { readonly name: string }[]): readonly Given[] =>
    of.map((each) => ({ value: each.name }));
  const isInit = containers[index]?.role === 'init';
  return {
    exited: names(earlier.filter(({ role }) => role === 'init')),
    started: names(earlier.filter(({ role }) => role === 'sidecar')),
    init: { value: isInit },
    before: isInit ? names(containers.slice(index + 1)) : [],
  };
}

function hasForms({ ask }: AskedCall, fact: FactName): boolean {
  return (ask.forms?.get(fact) ?? []).length > 0;
}

function given({ ask }: AskedCall, fact: FactName, value: Entry): Given {
  const because = ask.origins?.get(originKey(fact, value)) ?? ask.because[0];
  return { value, ...(because === undefined ? {} : { because }) };
}

/** Returns each value once, with all its origins. */
function merged(list: readonly Given[]): readonly Given[] {
  const all = new Map<string, Given>();
  for (const { value, because } of list) {
    const key = JSON.stringify(value);
    const reasons = [all.get(key)?.because, because].filter((each) => each !== undefined);
    all.set(key, { value, because: [...new Set(reasons)].join(', ') });
  }
  return [...all.values()];
}
