import {
  type Entry,
  type ExpectedCall,
  celLiteral,
  layerOption,
  watchedDriver,
  wrappedList,
} from '@kata-agent/workloads';
import type { Storage } from '@kata-agent/protocol/agent';
import type { ExtraRule } from '../write/plan.js';
import { longestExpression } from '../write/rule-expression.js';
import { asCreate, asProcess, eachContainer, mountsTwice } from './each-container.js';

/** Completeness rules: a container must have everything that its pod defines. Lists only limit what it can have. */
export function completenessRules(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  return [
    ...(['CreateContainer', 'ExecProcess'] as const).flatMap((method) => [
      ...environmentComplete(calls, method),
      ...capabilitySets(calls, method),
    ]),
    ...mountsComplete(calls),
    ...storagesComplete(calls),
    ...terminals(calls),
    ...devicesComplete(calls),
    ...sysctlsComplete(calls),
  ];
}

const processes = { CreateContainer: 'request.OCI.Process', ExecProcess: 'request.process' } as const;
type ProcessMethod = keyof typeof processes;

function environmentComplete(calls: readonly ExpectedCall[], method: ProcessMethod): readonly ExtraRule[] {
  const texts = {
    description: 'No variable of the pod or of its image is missing.',
    message: 'a variable of the workload is missing',
  };
  const rules: ExtraRule[] = [];
  const add = (names: readonly string[], part: number): void => {
    const expression = eachContainer(calls, method, (call) =>
      names.includes(call.container ?? '') ? variablesThere(call, method, part) : undefined,
    );
    if (expression === undefined) return;
    const half = Math.floor(names.length / 2);
    if (expression.length > longestExpression && half > 0) {
      add(names.slice(0, half), part);
      add(names.slice(half), part);
      return;
    }
    const number = rules.length === 0 ? '' : `-${rules.length + 1}`;
    rules.push(...rule(method, `environment-complete${number}`, expression, texts));
  };
  const asked = calls.filter((call) => call.method === method);
  const names = [...new Set(asked.map(({ container = '' }) => container))];
  const parts = Math.max(0, ...asked.map((call) => neededVariables(call).length));
  for (let part = 0; part < parts; part += 1) add(names, part);
  return rules;
}

function variablesThere(call: ExpectedCall, method: ProcessMethod, part: number): string | undefined {
  const entries = neededVariables(call)[part] ?? [];
  return both([
    all(
      'v',
      entries.filter((entry) => entry.includes('=')),
      `v in ${processes[method]}.Env`,
    ),
    all(
      'n',
      entries.filter((entry) => !entry.includes('=')),
      'n in env',
    ),
  ]);
}

/** The approximate limit, in UTF-16 units, for the variables of one container in one rule. */
const partLength = 8_000;

/** Splits required values into parts that each fit into a rule. */
function neededVariables(call: ExpectedCall): readonly (readonly string[])[] {
  const { values, optionalVariables } = call;
  const parts: string[][] = [];
  let room = 0;
  const listed = (values.get('variables') ?? []).map(String);
  const having = new Set(listed.map(nameOf));
  // Variables without a value of their own are still required.
  const others = (asProcess(call)?.Env ?? []).map(nameOf).filter((name) => !having.has(name));
  for (const entry of [...listed, ...others]) {
    if (optionalVariables.has(nameOf(entry))) continue;
    const length = celLiteral(entry).length + 2;
    if (length > room) {
      parts.push([]);
      room = partLength;
    }
    room -= length;
    parts.at(-1)?.push(entry);
  }
  return parts;
}

/** Returns the name in `NAME=value`. */
function nameOf(entry: string): string {
  return entry.split('=')[0] ?? '';
}

/** A process with fewer capabilities, or with dropped ones, behaves differently. */
function capabilitySets(calls: readonly ExpectedCall[], method: ProcessMethod): readonly ExtraRule[] {
  const expression = eachContainer(calls, method, (call) => {
    const names = asProcess(call)?.Capabilities?.Bounding;
    // Kernels and engines differ in the set of all capabilities.
    if (names === undefined || names.length > 30) return undefined;
    const sets = `${processes[method]}.Capabilities`;
    if (names.length === 0) return undefined;
    return all('c', names, `c in ${sets}.Bounding && c in ${sets}.Effective && c in ${sets}.Permitted`);
  });
  // An exec without capabilities gets those of its container.
  const asked = method === 'ExecProcess' && expression !== undefined ? 'capabilities.size() == 0 ||\n' : '';
  return rule(method, 'capability-sets', expression === undefined ? undefined : asked + expression, {
    description: 'Capabilities are in the bounding, effective and permitted sets, as engines set them.',
    message: 'a capability of the workload is missing in one of the sets',
  });
}

function mountsComplete(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const destinations = ({ values }: ExpectedCall): readonly string[] =>
    (values.get('mountTable') ?? []).map((row) => elementOf(row, 1));
  const there = eachContainer(calls, 'CreateContainer', (call) => {
    const list = destinations(call);
    return both([`mounts.size() == ${list.length}`, all('d', list, 'mounts.exists(m, m.destination == d)')]);
  });
  const lists = calls.filter(({ method }) => method === 'CreateContainer').map(destinations);
  const parents = [
    ...new Set(lists.flatMap((list) => list.filter((path) => list.some((each) => isBelow(each, path))))),
  ];
  const slash = parents.some((path) => path.endsWith('/'))
    ? '(mounts[i].destination.endsWith("/") ? "" : "/")'
    : '"/"';
  const max = Math.max(0, ...lists.map(({ length }) => length));
  const positions = `[${Array.from({ length: max }, (_, index) => index).join(', ')}]`;
  return [
    ...rule('CreateContainer', 'mounts-complete', there, {
      description: 'No mount is missing.',
      message: 'a mount of the workload is missing',
    }),
    ...rule(
      'CreateContainer',
      'mount-order',
      parents.length === 0
        ? undefined
        : `${positions}.all(i, i >= mounts.size() || !(mounts[i].destination in ${celLiteral(parents)}) ||\n` +
            `  ${positions}.all(j, j >= i || !mounts[j].destination.startsWith(mounts[i].destination + ${slash})))`,
      {
        description: 'No mount hides one below it.',
        message: 'the mount would hide another one',
      },
    ),
  ];
}

/** Reports whether a path is below a directory, which can have a slash at its end. */
function isBelow(path: string, directory: string): boolean {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`;
  return path !== directory && path.startsWith(prefix);
}

function storagesComplete(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const storagesOf = (call: ExpectedCall): readonly Storage[] => asCreate(call)?.storages ?? [];
  const isLayer = ({ options }: Storage): boolean => options.includes(layerOption);
  const withLayers = calls.some((call) => storagesOf(call).some(isLayer));
  // The layers of a root have rules of their own.
  const storages = withLayers
    ? `request.storages.filter(s, !(${celLiteral(layerOption)} in s.options))`
    : 'request.storages';
  const expression = eachContainer(calls, 'CreateContainer', (call) => {
    const drivers = storagesOf(call).flatMap((storage) => (isLayer(storage) ? [] : [storage.driver]));
    const always = drivers.filter((driver) => driver !== watchedDriver);
    // Another container's request may have the storage of a watched volume: the order of their starts is not known.
    const watched = (call.volumes ?? []).filter(({ isWatched }) => isWatched).length;
    return both([
      ...(watched === 0
        ? [`${storages}.size() == ${always.length}`]
        : [
            `${storages}.filter(s, s.driver != ${celLiteral(watchedDriver)}).size() == ${always.length}`,
            `${storages}.size() <= ${always.length + watched}`,
          ]),
      all('d', [...new Set(always)], `${storages}.exists(s, s.driver == d)`),
    ]);
  });
  // The runtimes send a storage for each mount of a volume.
  const once = mountsTwice(calls)
    ? `${storages}.all(s, request.storages.all(o, o.mount_point != s.mount_point ||\n  o.driver == s.driver && o.source == s.source && o.fstype == s.fstype && o.shared == s.shared &&\n  o.options == s.options && o.driver_options == s.driver_options))`
    : `${storages}.all(s, request.storages.exists_one(o, o.mount_point == s.mount_point))`;
  return rule('CreateContainer', 'storages-complete', both([once, expression]), {
    description: 'No storage is missing, and each volume has its own mount point.',
    message: 'a storage of the workload is missing or duplicate',
  });
}

function devicesComplete(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const expression = eachContainer(calls, 'CreateContainer', (call) => {
    const request = asCreate(call);
    const paths = (request?.OCI?.Linux?.Devices ?? []).map(({ Path }) => Path);
    return both([
      all(
        'p',
        paths,
        'devices.exists_one(d, d.Path == p) && request.devices.exists_one(d, d.container_path == p)',
      ),
    ]);
  });
  return rule('CreateContainer', 'devices-complete', expression, {
    description: 'No device is missing or duplicate. volumeDevices',
    message: 'a device of the workload is missing or duplicate',
  });
}

/** The engine's sysctls: not every version sets them. */
function sysctlsComplete(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const expression = eachContainer(calls, 'CreateContainer', ({ values }) =>
    all(
      'k',
      (values.get('sysctls') ?? [])
        .map((row) => elementOf(row, 0))
        .filter((name) => !engineSysctls.includes(name)),
      'k in request.OCI.Linux.Sysctl',
    ),
  );
  return rule('CreateContainer', 'sysctls-complete', expression, {
    description: 'No sysctl of the pod is missing. securityContext.sysctls',
    message: 'a sysctl of the workload is missing',
  });
}

const engineSysctls: readonly string[] = ['net.ipv4.ip_unprivileged_port_start', 'net.ipv4.ping_group_range'];

/** Omitted if no container has a terminal: the list covers that. */
function terminals(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const created = calls.filter(({ method }) => method === 'CreateContainer');
  const having = created.flatMap((call) =>
    asProcess(call)?.Terminal === true ? [call.container ?? ''] : [],
  );
  if (having.length === 0) return [];
  const expression = eachContainer(
    calls,
    'CreateContainer',
    (call) => `terminal == ${String(asProcess(call)?.Terminal === true)}`,
  );
  return rule('CreateContainer', 'terminal-owners', expression, {
    description: 'Containers with a terminal. containers[].tty',
    message: 'the terminal setting differs from the workload',
  });
}

function all(variable: string, values: readonly string[], test: string): string | undefined {
  return values.length === 0 ? undefined : `${wrappedList(values)}.all(${variable}, ${test})`;
}

function both(tests: readonly (string | undefined)[]): string | undefined {
  const given = tests.filter((each) => each !== undefined);
  return given.length === 0 ? undefined : given.join(' &&\n  ');
}

function elementOf(row: Entry, index: number): string {
  return typeof row === 'object' ? (row[index] ?? '') : '';
}

/** Omitted if there is nothing to require. */
function rule(
  method: ExtraRule['method'],
  name: string,
  expression: string | undefined,
  texts: Pick<ExtraRule, 'description' | 'message'>,
): readonly ExtraRule[] {
  return expression === undefined ? [] : [{ method, name, expression, ...texts }];
}
