import {
  type Area,
  areas,
  endpoints,
  type ManagementMethod,
  managementEndpoints,
  managementMethods,
  type MethodName,
} from '@kata-agent/catalogue';
import {
  type ApiDocument,
  type Configuration,
  explainConfiguration,
  type ExplainedEndpoint,
  type ExplainedSetting,
  type ListenerSettings,
  settings,
} from '@kata-agent/config';
import { findingsIn } from '@kata-agent/config/served';
import { privilegedContainers } from '@kata-agent/gate';
import { documentComment, ruleComment } from './rule-comment.js';

/** What a configuration lets the host and other callers do. */
export interface Exposure {
  readonly digest: string;
  readonly documents: readonly DocumentSummary[];
  /** Settings that open the guest, and are not as they are by default. */
  readonly openings: readonly Opening[];
  readonly listeners: readonly ListenerSummary[];
  /** The columns of the matrix: each listener, then each document if there are several. */
  readonly columns: readonly Column[];
  readonly areas: readonly AreaRows[];
  /** Of methods of AgentService, on any listener. */
  readonly counts: { readonly served: number; readonly underRules: number; readonly methods: number };
  readonly rules: readonly RuleSummary[];
  readonly warnings: readonly Warning[];
}

interface DocumentSummary {
  readonly file: string;
  readonly source: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly binding: string | undefined;
  /** What its author has written at its beginning; empty: nothing, or the text is not known. */
  readonly comment: string;
}

interface Opening {
  /** `[agent] debug_console`. */
  readonly setting: string;
  /** In TOML. */
  readonly value: string;
  readonly purpose: string;
  readonly source: string;
}

interface ListenerSummary {
  readonly name: string;
  readonly address: string;
  readonly callers: string;
}

interface Column {
  readonly kind: 'listener' | 'document';
  readonly name: string;
}

export interface AreaRows {
  readonly area: Area | 'management';
  readonly rows: readonly EndpointRow[];
}

export interface EndpointRow {
  readonly method: MethodName | ManagementMethod;
  readonly groups: readonly string[];
  readonly purpose: string;
  /** What a hostile caller gains by it. */
  readonly exposure: string;
  /** One for each column. */
  readonly cells: readonly Cell[];
}

/** `says nothing`: a further document that has neither a list nor a rule about it. */
export type CellState = 'served' | 'under rules' | 'refused' | 'says nothing';

export interface Cell {
  readonly state: CellState;
  /** Why, by place. */
  readonly reason: string;
}

export interface RuleSummary {
  readonly name: string;
  /** `config.toml:7`. */
  readonly place: string;
  readonly enforcement: 'enforce' | 'audit';
  readonly endpoints: readonly MethodName[];
  readonly message: string | undefined;
  /** The comment above it; empty: there is none. */
  readonly comment: string;
  readonly expression: string;
}

interface Warning {
  readonly code: string;
  readonly message: string;
  readonly place: string | undefined;
  readonly help: string | undefined;
}

/** Describes a configuration. `texts`: the texts of its documents by file, as far as they are known, for their comments. */
export function exposureOf(configuration: Configuration, texts: ReadonlyMap<string, string>): Exposure {
  const { api, documents, listeners, warnings } = configuration;
  const explanation = explainConfiguration(configuration);
  const lines = new Map([...texts].map(([file, text]) => [file, text.split(/\r?\n/)]));
  const columns: readonly Column[] = [
    ...listeners.map(({ name }) => ({ kind: 'listener', name }) as const),
    ...(api.documents.length < 2
      ? []
      : api.documents.map(({ file }) => ({ kind: 'document', name: file }) as const)),
  ];
  const byListener = new Map(explanation.endpoints.map((one) => [`${one.listener} ${one.method}`, one]));
  const cellsOf = (method: MethodName): readonly Cell[] =>
    columns.map(({ kind, name }, index) => {
      if (kind === 'listener') return listenerCell(byListener.get(`${name} ${method}`));
      const at = index - listeners.length;
      const document = api.documents[at];
      return document === undefined ? nothing : documentCell(document, at === 0, listeners, method);
    });
  const areaRows = Object.entries(areas).map(
    ([area, methods]): AreaRows => ({
      area: area as Area,
      rows: methods.map((method) => {
        const { groups, purpose, exposure } = endpoints[method];
        return { method, groups, purpose, exposure, cells: cellsOf(method) };
      }),
    }),
  );
  const states = areaRows.flatMap(({ rows }) =>
    rows.map(({ cells }) => cells.slice(0, listeners.length).map(({ state }) => state)),
  );
  return {
    digest: configuration.digest,
    documents: documents.map(({ file, source, sha256, binding }) => ({
      file,
      source,
      sha256,
      binding,
      comment: documentComment(lines.get(file) ?? []),
    })),
    openings: openingsOf(configuration, explanation.settings),
    listeners: listeners.map((listener) => ({
      name: listener.name,
      address: listener.address,
      callers: callersOf(listener),
    })),
    columns,
    areas: [...areaRows, { area: 'management', rows: managementRows(listeners, columns) }],
    counts: {
      methods: states.length,
      served: states.filter((row) => row.some((state) => state !== 'refused')).length,
      underRules: states.filter((row) => row.includes('under rules') && !row.includes('served')).length,
    },
    rules: api.documents.flatMap(({ file, rules }) =>
      rules.map(({ name, span, enforcement, methods, message, expression }) => ({
        name,
        place: `${span.file}:${span.line}`,
        enforcement,
        endpoints: [...methods.keys()],
        message,
        comment: ruleComment(lines.get(file) ?? [], span.line),
        expression,
      })),
    ),
    warnings: warnings.map(({ code, message, span, help }) => ({
      code,
      message,
      place: span === undefined ? undefined : `${span.file}:${span.line}`,
      help,
    })),
  };
}

const nothing: Cell = { state: 'says nothing', reason: 'has no list and no rule about it' };

function listenerCell(endpoint: ExplainedEndpoint | undefined): Cell {
  if (endpoint === undefined) return { state: 'refused', reason: 'no such listener' };
  const enforced = endpoint.rules.filter(({ enforcement }) => enforcement === 'enforce');
  if (!endpoint.served || enforced.length === 0)
    return { state: endpoint.served ? 'served' : 'refused', reason: endpoint.reason };
  return {
    state: 'under rules',
    reason: `${endpoint.reason}; rules: ${enforced.map(({ name }) => name).join(', ')}`,
  };
}

/** What one document says alone: it refuses a method if it refuses it on each listener. */
function documentCell(
  document: ApiDocument,
  ofBase: boolean,
  listeners: readonly ListenerSettings[],
  method: MethodName,
): Cell {
  const byListener = listeners.map(({ name }) => findingsIn(document, ofBase, name, method));
  const { file } = document;
  if (byListener.every((findings) => findings.some(({ allows }) => !allows)))
    return { state: 'refused', reason: file };
  const rules = document.rules.filter(
    ({ methods, enforcement }) => methods.has(method) && enforcement === 'enforce',
  );
  if (rules.length > 0)
    return { state: 'under rules', reason: `${file}; rules: ${rules.map(({ name }) => name).join(', ')}` };
  return byListener.every(({ length }) => length === 0) ? nothing : { state: 'served', reason: file };
}

function managementRows(
  listeners: readonly ListenerSettings[],
  columns: readonly Column[],
): readonly EndpointRow[] {
  return managementMethods.map((method) => ({
    method,
    groups: [],
    ...managementEndpoints[method],
    cells: columns.map(({ kind, name }): Cell => {
      if (kind === 'document')
        return { state: 'says nothing', reason: 'named by the management of a listener' };
      const isServed = listeners.find((one) => one.name === name)?.management.includes(method) === true;
      return isServed
        ? { state: 'served', reason: `in management of listener "${name}"` }
        : { state: 'refused', reason: `not in management of listener "${name}"` };
    }),
  }));
}

/** The setting with which rules confine nothing. */
export const privilegedSetting = '[agent] privileged_containers';

function openingsOf(
  configuration: Configuration,
  explained: readonly ExplainedSetting[],
): readonly Opening[] {
  const privileged: readonly Opening[] =
    privilegedContainers(configuration) === 'refuse'
      ? []
      : [
          {
            setting: privilegedSetting,
            value: '"allow"',
            purpose:
              'Privileged containers are allowed: such a container has root access to the guest, and rules do not confine it.',
            source:
              explained.find(({ key, value }) => key === 'privileged_containers' && value !== undefined)
                ?.source ?? 'there is no configuration document',
          },
        ];
  const others = settings.flatMap((row): readonly Opening[] => {
    const one = explained.find(({ section, key }) => section === row.section && key === row.key);
    if (!row.opensGuest || row.key === 'privileged_containers' || one === undefined) return [];
    if (JSON.stringify(one.value) === JSON.stringify(row.default)) return [];
    const setting = `[${row.section}] ${row.key}`;
    return [{ setting, value: one.written, purpose: withoutLinks(row.purpose), source: one.source }];
  });
  return [...privileged, ...others];
}

/** The purposes of settings are Markdown, with links between pages of the reference. */
function withoutLinks(markdown: string): string {
  return markdown.replace(/ ?\(\[[^\]]*\]\([^)]*\)\)/g, '').replace(/`/g, '');
}

function callersOf({ peers, dial, awaited }: ListenerSettings): string {
  if (awaited?.includes('peers') === true) return 'set by a delivered document';
  if (dial?.relay.kind === 'trusted') return 'the server that the agent dials, for its operators';
  const listed = peers.map((list) => (list.length === 0 ? 'none' : list.join(', ')));
  const grants = dial?.relay.kind === 'operator-tls' ? (dial.relay.operators ?? []) : [];
  return [
    listed.join('; of these only: '),
    ...grants.map((grant) => `verbs of ${grant.peers.join(', ')}: ${grant.verbs.join(', ')}`),
  ].join('; ');
}
