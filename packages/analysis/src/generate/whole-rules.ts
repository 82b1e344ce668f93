import { serviceNames } from '../calls/environment.js';
import type { ExpectedCall } from '../calls/expected-call.js';
import { celLiteral, wrappedList } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';
import type { Entry } from '../write/fact-name.js';
import { longestExpression } from '../write/rule-expression.js';
import { eachContainer } from './each-container.js';
import { asCreate, asProcess } from './expected-message.js';

/** Nothing is missing: what a container has by its pod, it has to have. The lists say what it may have at most. */
export function wholeRules(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  return [
    ...(['CreateContainer', 'ExecProcess'] as const).flatMap((method) => [
      ...wholeEnvironment(calls, method),
      ...capabilitySets(calls, method),
    ]),
    ...mountsThere(calls),
    ...storagesThere(calls),
    ...terminals(calls),
    ...devicesThere(calls),
    ...sysctlsThere(calls),
  ];
}

const processes = { CreateContainer: 'request.OCI.Process', ExecProcess: 'request.process' } as const;
type ProcessMethod = keyof typeof processes;

function wholeEnvironment(calls: readonly ExpectedCall[], method: ProcessMethod): readonly ExtraRule[] {
  const texts = {
    says: 'No variable of the pod or of its image is missing.',
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
    rules.push(...rule(method, `whole-environment${number}`, expression, texts));
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

/** UTF-16 units of the variables that one rule asks for, of one container; about. */
const partLength = 8_000;

/** What may not be missing, in parts of which each fits into a rule. */
function neededVariables(call: ExpectedCall): readonly (readonly string[])[] {
  const { values, unknown, optionalVariables } = call;
  if (unknown.has('variables')) return [];
  const parts: string[][] = [];
  let room = 0;
  const listed = (values.get('variables') ?? []).map(String);
  const having = new Set(listed.map((entry) => entry.split('=')[0] ?? ''));
  // Those of services come and go; the others that have no value of their own are still there.
  const others = (asProcess(call)?.Env ?? [])
    .map((entry) => entry.split('=')[0] ?? '')
    .filter((name) => !having.has(name) && !serviceNames.any.test(name));
  for (const entry of [...listed, ...others]) {
    if (optionalVariables.has(entry.split('=')[0] ?? '')) continue;
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

/** A process that drops what it never got, or gets what it was to drop, is another one. */
function capabilitySets(calls: readonly ExpectedCall[], method: ProcessMethod): readonly ExtraRule[] {
  const expression = eachContainer(calls, method, (call) => {
    const names = asProcess(call)?.Capabilities?.Bounding;
    // What all capabilities are, kernels and engines know in different ways.
    if (names === undefined || names.length > 30) return undefined;
    const sets = `${processes[method]}.Capabilities`;
    if (names.length === 0) return undefined;
    return all('c', names, `c in ${sets}.Bounding && c in ${sets}.Effective && c in ${sets}.Permitted`);
  });
  // An exec that asks for none gets those of its container.
  const asked = method === 'ExecProcess' && expression !== undefined ? 'capabilities.size() == 0 ||\n' : '';
  return rule(method, 'capability-sets', expression === undefined ? undefined : asked + expression, {
    says: 'Capabilities are in all three sets, bounding, effective and permitted, as engines give them.',
    message: 'a capability of the workload is missing in one of the sets',
  });
}

function mountsThere(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const destinations = ({ values }: ExpectedCall): readonly string[] =>
    (values.get('mountTable') ?? []).map((row) => elementOf(row, 1));
  const there = eachContainer(calls, 'CreateContainer', (call) => {
    const list = destinations(call);
    return both([`mounts.size() == ${list.length}`, all('d', list, 'mounts.exists(m, m.destination == d)')]);
  });
  const lists = calls.filter(({ method }) => method === 'CreateContainer').map(destinations);
  const parents = [
    ...new Set(
      lists.flatMap((list) => list.filter((path) => list.some((each) => each.startsWith(`${path}/`)))),
    ),
  ];
  const most = Math.max(0, ...lists.map(({ length }) => length));
  const positions = `[${Array.from({ length: most }, (_, index) => index).join(', ')}]`;
  return [
    ...rule('CreateContainer', 'mounts-there', there, {
      says: 'No mount is missing.',
      message: 'a mount of the workload is missing',
    }),
    ...rule(
      'CreateContainer',
      'mount-order',
      parents.length === 0
        ? undefined
        : `${positions}.all(i, i >= mounts.size() || !(mounts[i].destination in ${celLiteral(parents)}) ||\n` +
            `  ${positions}.all(j, j >= i || !mounts[j].destination.startsWith(mounts[i].destination + "/")))`,
      {
        says: 'No mount hides one that lies below it.',
        message: 'a mount would hide another one',
      },
    ),
  ];
}

function storagesThere(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const expression = eachContainer(calls, 'CreateContainer', (call) => {
    const drivers = (asCreate(call)?.storages ?? []).map(({ driver }) => driver);
    return both([
      `request.storages.size() == ${drivers.length}`,
      all('d', [...new Set(drivers)], 'request.storages.exists(s, s.driver == d)'),
    ]);
  });
  const once = 'request.storages.all(s, request.storages.exists_one(o, o.mount_point == s.mount_point))';
  return rule('CreateContainer', 'storages-there', both([once, expression]), {
    says: 'No storage is missing, and each has a mount point of its own.',
    message: 'a storage of the workload is missing, or stands twice',
  });
}

function devicesThere(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
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
  return rule('CreateContainer', 'devices-there', expression, {
    says: 'No device is missing, and none stands twice. volumeDevices',
    message: 'a device of the workload is missing, or stands twice',
  });
}

/** Those of the engine, not every version sets. */
function sysctlsThere(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const expression = eachContainer(calls, 'CreateContainer', ({ values }) =>
    all(
      'k',
      (values.get('sysctls') ?? [])
        .map((row) => elementOf(row, 0))
        .filter((name) => !engineSysctls.includes(name)),
      'k in request.OCI.Linux.Sysctl',
    ),
  );
  return rule('CreateContainer', 'sysctls-there', expression, {
    says: 'No parameter of the kernel that the pod sets is missing. securityContext.sysctls',
    message: 'a parameter of the kernel is missing',
  });
}

const engineSysctls: readonly string[] = ['net.ipv4.ip_unprivileged_port_start', 'net.ipv4.ping_group_range'];

/** Where no container has one, the list says so. */
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
    says: 'Who has a terminal. containers[].tty',
    message: 'the container has a terminal where it has none in the workload, or none where it has one',
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

/** Left out where nothing is asked. */
function rule(
  method: ExtraRule['method'],
  name: string,
  expression: string | undefined,
  texts: Pick<ExtraRule, 'says' | 'message'>,
): readonly ExtraRule[] {
  return expression === undefined ? [] : [{ method, name, expression, ...texts }];
}
