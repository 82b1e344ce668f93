import { engineMounts, maxPositions } from '@kata-agent/catalogue/profiles';
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
  const process = asProcess(asked.call);
  const capabilities = listed(asked, 'capabilities');
  if (formsOf(asked, 'capabilities').length > 0) misfits.ofProcess('capabilities');
  if (!fitsCapabilitySets(process, capabilities)) misfits.ofProcess('capability-sets');
  return {
    ...readCommand(asked, misfits),
    ...readVariables(asked, workload, misfits),
    cwd: readDirectory(asked, misfits),
    user: readUser(asked, misfits),
    groups: readGroups(asked, misfits),
    capabilities,
  };
}

function readCommand(asked: AskedCall, misfits: Misfits): Record<string, Given> {
  const [line, ...others] = asked.ask.values?.get('commandLine') ?? [];
  const [form, ...forms] = formsOf(asked, 'commandLine');
  if (line === undefined && form !== undefined && forms.length === 0) {
    const { because, meaning } = form;
    if (isAny(form)) return { args: { value: [] }, any_args: { value: true, because } };
    if (meaning?.kind === 'last words' && meaning.words.length <= maxPositions)
      return { args: { value: [] }, last_args: { value: meaning.words, because } };
  }
  if (form !== undefined || others.length > 0 || !Array.isArray(line) || line.length === 0) {
    misfits.ofContainer('commands');
    return { args: { value: [] } };
  }
  return { args: { ...given(asked, 'commandLine', line), value: line.slice(1) } };
}

/** What opens a text that is a number otherwise. */
const any = '*';

function readDirectory(asked: AskedCall, misfits: Misfits): Given {
  const [value, ...others] = asked.ask.values?.get('cwd') ?? [];
  const [form, ...forms] = formsOf(asked, 'cwd');
  if (value === undefined && form?.meaning?.kind === 'absolute path' && forms.length === 0)
    return { value: any, because: form.because };
  if (value === undefined || value === any || others.length > 0 || form !== undefined)
    misfits.ofProcess('directories');
  return given(asked, 'cwd', value ?? '');
}

function readUser(asked: AskedCall, misfits: Misfits): Given {
  const [value, ...others] = asked.ask.values?.get('user') ?? [];
  const [form, ...forms] = formsOf(asked, 'user');
  const meaning = form !== undefined && isAny(form) ? ({ kind: 'user' } as const) : form?.meaning;
  if (value === undefined && form !== undefined && meaning?.kind === 'user' && forms.length === 0)
    return { value: `${meaning.uid ?? any}:${meaning.gid ?? any}`, because: form.because };
  if (value === undefined || others.length > 0 || form !== undefined) misfits.ofProcess('users');
  return given(asked, 'user', value ?? '');
}

function readGroups(asked: AskedCall, misfits: Misfits): readonly Given[] {
  const open = formsOf(asked, 'groups').flatMap((form): readonly Given[] => {
    if (isAny(form)) return [{ value: any, because: form.because }];
    if (form.meaning?.kind === 'group of the user') return [{ value: 'user', because: form.because }];
    misfits.ofProcess('groups');
    return [];
  });
  return [...listed(asked, 'groups'), ...open];
}

/** Kernels and engines differ in the set of all capabilities: no rule requires it. */
function fitsCapabilitySets(process: Process | undefined, listed: readonly Given[]): boolean {
  const bounding = process?.Capabilities?.Bounding ?? [];
  return bounding.length <= 30 && bounding.length === listed.length;
}

function readVariables(
  asked: AskedCall,
  workload: Workload,
  misfits: Misfits,
): Record<string, Given | readonly Given[]> {
  const { call, ask } = asked;
  const listed = ask.values?.get('variables') ?? [];
  const nameOf = (entry: Entry): string => String(entry).split('=')[0] ?? '';
  const own = new Set(listed.map(nameOf));
  const shaped: Given[] = [];
  let ownHostname = listed.some((entry) => nameOf(entry) === 'HOSTNAME');
  let others: Given | undefined;
  for (const { meaning, because } of formsOf(asked, 'variables'))
    switch (meaning?.kind) {
      case 'services':
        break;
      case 'other variables':
        others = { value: true, because };
        break;
      case 'pattern':
        own.add(meaning.variable);
        if (meaning.variable !== 'HOSTNAME')
          shaped.push({ value: { name: meaning.variable, pattern: meaning.pattern }, because });
        else if (meaning.pattern !== `^${hostnames(workload)}$`) ownHostname = true;
        break;
      default:
        misfits.ofProcess('environment');
    }
  const isPause = (call.container ?? '') === '';
  const required = new Set(
    [...own, ...(asProcess(call)?.Env ?? []).map(nameOf)].filter((name) => !call.optionalVariables.has(name)),
  );
  for (const name of required) if (!own.has(name)) misfits.ofProcess('environment-complete');
  if (ownHostname || (!isPause && !required.has('HOSTNAME')))
    misfits.ofProcess('environment', 'environment-complete');
  for (const form of formsOf(asked, 'variables'))
    if (
      form.meaning?.kind === 'services' &&
      form.names !== undefined &&
      [...own].some((name) => form.names?.test(name) === true)
    )
      misfits.ofProcess('environment');
  const entries = (isValue: boolean): readonly Given[] =>
    listed
      .filter((entry) => String(entry).includes('=') === isValue)
      .map((entry) => given(asked, 'variables', entry));
  return {
    env: entries(true),
    any_env: entries(false),
    env_like: shaped,
    ...(others === undefined ? {} : { other_env: others }),
    optional_env: [...own].filter((name) => call.optionalVariables.has(name)).map((value) => ({ value })),
  };
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
    table.length > maxPositions
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

function hasForms(asked: AskedCall, fact: FactName): boolean {
  return formsOf(asked, fact).length > 0;
}

function formsOf({ ask }: AskedCall, fact: FactName): readonly ValueForm[] {
  return ask.forms?.get(fact) ?? [];
}

/** Reports whether a form allows any value. */
function isAny({ condition }: ValueForm): boolean {
  return condition === undefined;
}

function listed(asked: AskedCall, fact: FactName): readonly Given[] {
  return (asked.ask.values?.get(fact) ?? []).map((value) => given(asked, fact, value));
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
