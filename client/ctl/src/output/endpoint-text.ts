import {
  announcedMethods,
  type Endpoint,
  endpoints,
  type Group,
  managementEndpoints,
  type ManagementMethod,
  type MethodName,
} from '@kata-agent/catalogue';
import { renderTable, type Style, wrap } from '@kata-agent/cli';

/** How calls of the method appear in the audit log. */
export function recordText(endpoint: Pick<Endpoint, 'changes' | 'fold' | 'ends'>): string {
  if (endpoint.fold === 'stream') return 'counted, one record per 10 s and stream';
  if (endpoint.fold === 'poll') return 'counted, one record per 10 s and peer';
  if (!endpoint.changes) return 'one record, after the call; repetitions are counted, one record per 10 s';
  const two = 'two records: intent before the call, outcome after';
  const full = endpoint.ends === true ? `${two}, also while the disk is full` : two;
  return endpoint.fold === 'repeat'
    ? `${full}; identical calls after it are counted, one record per 10 s`
    : full;
}

/** Returns one line for each method. */
export function endpointsTable(names: readonly MethodName[], style: Style): string {
  const rows = names.map((name) => {
    const endpoint = endpoints[name];
    return [name, endpoint.release, endpoint.changes ? 'changes' : 'reads', endpoint.groups.join(' ')];
  });
  return renderTable([['METHOD', 'SINCE', 'STATE', 'GROUPS'], ...rows], (cell, row) =>
    row === 0 ? style.bold(cell) : cell,
  );
}

/** Returns one line for each group. */
export function groupsTable(groups: readonly Group[], style: Style): string {
  const rows = groups.map((group) => [group.name, String(group.methods.length), group.purpose]);
  return renderTable([['GROUP', 'METHODS', 'PURPOSE'], ...rows], (cell, row) =>
    row === 0 ? style.bold(cell) : cell,
  );
}

/** Returns the documentation of one method. */
export function endpointPage(endpoint: Endpoint, width: number, style: Style): string {
  const section = (title: string, text: string): string =>
    `\n${style.bold(title)}\n${wrap(text, width, '  ')}`;
  const facts = renderTable([
    ['since', endpoint.release],
    ['state', endpoint.changes ? 'changes state' : 'reads state'],
    ['groups', endpoint.groups.join(' ') || 'none'],
    ['recorded', recordText(endpoint)],
  ]);
  const entries = [endpoint.method, ...endpoint.groups].map((entry) => `"${entry}"`);
  return [
    `${style.bold(endpoint.method)}\n${wrap(endpoint.purpose, width, '  ')}\n${facts}`,
    section('Exposure to a hostile peer', endpoint.exposure),
    section('What breaks without it', endpoint.without),
    section('When the Go runtime calls it', endpoint.clients.go),
    section('When runtime-rs calls it', endpoint.clients.rs),
    section('To serve it', `[api] allowed_endpoints = [${entries[0] ?? ''}]${alternatives(entries)}`),
    section('To call it', `kata-agent-ctl call ${endpoint.method} --template`),
  ].join('');
}

/** Returns the purpose and methods of a group. */
export function groupPage(group: Group, width: number, style: Style): string {
  return `${style.bold(group.name)}\n${wrap(group.purpose, width, '  ')}\n${endpointsTable(group.methods, style)}`;
}

function alternatives(entries: readonly string[]): string {
  const groups = entries.slice(1);
  return groups.length === 0 ? '' : `, or a group that includes it: ${groups.join(', ')}`;
}

/** Returns the documentation of a method that is announced and not served. */
export function announcedPage(name: string, width: number, style: Style): string {
  const method = announcedMethods.get(name);
  if (method === undefined) throw new Error(`${name} is not an announced method`);
  const section = (title: string, text: string): string =>
    `\n${style.bold(title)}\n${wrap(text, width, '  ')}`;
  return [
    `${style.bold(name)}\n${wrap(method.purpose, width, '  ')}`,
    section(
      'Not served',
      'No list of endpoints can name it. A call is answered with UNIMPLEMENTED and recorded.',
    ),
    section('Announced', method.announced),
    section('Exposure to a hostile peer', method.exposure),
    section('What breaks without it', method.without),
  ].join('');
}

/** Returns one line for each method of the management service. */
export function managementTable(names: readonly ManagementMethod[], style: Style): string {
  const rows = names.map((name) => [name, managementEndpoints[name].purpose]);
  return renderTable([['MANAGEMENT', 'PURPOSE'], ...rows], (cell, row) =>
    row === 0 ? style.bold(cell) : cell,
  );
}

/** Returns the documentation of one method of the management service. */
export function managementPage(name: ManagementMethod, width: number, style: Style): string {
  const { purpose, exposure } = managementEndpoints[name];
  const section = (title: string, text: string): string =>
    `\n${style.bold(title)}\n${wrap(text, width, '  ')}`;
  return [
    `${style.bold(name)}\n${wrap(purpose, width, '  ')}`,
    section('Exposure to a hostile peer', exposure),
    section('To serve it', `management = ["${name}"] of a [[listener]]; no list of endpoints includes it`),
  ].join('');
}
