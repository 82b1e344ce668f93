import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type {
  ApiDocument,
  Configuration,
  DocumentRecord,
  Effective,
  EndpointLists,
  IgnoredOverride,
  ListEntry,
  ListenerSettings,
  Rule,
} from '../configuration.js';
import { place } from '../diagnostic.js';
import { settings } from '../settings/settings.js';
import {
  type Decide,
  type ExplainedEndpoint,
  type ExplainedRule,
  explainEndpoint,
} from './explain-endpoint.js';

/** What a configuration comes to, as JSON. */
export interface Explanation {
  readonly documents: readonly DocumentRecord[];
  readonly digest: string;
  readonly listeners: readonly ListenerSettings[];
  readonly settings: readonly ExplainedSetting[];
  readonly rules: readonly ExpandedRule[];
  readonly expansions: readonly Expansion[];
  readonly endpoints: readonly ExplainedEndpoint[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
}

/** A rule, with all methods that it stands for. */
export interface ExpandedRule extends ExplainedRule {
  readonly expression: string;
  readonly endpoints: readonly MethodName[];
}

export interface ExplainedSetting extends Effective {
  /** The value as a document would have it; `(not set)` if it has none. */
  readonly written: string;
}

/** What an entry of a list that is no method's name stands for; methods that an earlier entry covers are left out. */
export interface Expansion {
  readonly list: 'allowed_endpoints' | 'blocked_endpoints';
  /** Whose list it is; absent: that of `[api]`. */
  readonly listener?: string;
  readonly entry: string;
  readonly source: string;
  readonly methods: readonly MethodName[];
}

/** Explains each setting and each endpoint. `decide` is the gate's, so that what is told is what is done. */
export function explainConfiguration(configuration: Configuration, decide?: Decide): Explanation {
  const { documents, digest, values, ignoredOverrides, api, listeners } = configuration;
  return {
    documents,
    digest,
    listeners,
    settings: values.map((value) => ({ ...value, written: writtenForm(value) })),
    rules: api.documents.flatMap(({ rules }) => rules.map(explainedRule)),
    expansions: api.documents.flatMap(expansionsOf),
    endpoints: listeners.flatMap(({ name }) =>
      methodNames.map((method) => explainEndpoint(api.documents, name, method, decide)),
    ),
    ignoredOverrides,
  };
}

function explainedRule({ name, methods, expression, enforcement, span }: Rule): ExpandedRule {
  return {
    name,
    source: place(span),
    enforcement,
    expression,
    endpoints: methodNames.filter((method) => methods.has(method)),
  };
}

function expansionsOf(document: ApiDocument): readonly Expansion[] {
  const pairs: readonly (readonly [EndpointLists, string | undefined])[] = [
    [document, undefined],
    ...Array.from(document.listeners, ([name, lists]) => [lists, name] as const),
  ];
  return pairs.flatMap(([{ allowed, blocked }, listener]) => [
    ...expansionsOfList('allowed_endpoints', allowed, listener),
    ...expansionsOfList('blocked_endpoints', blocked, listener),
  ]);
}

function expansionsOfList(
  list: Expansion['list'],
  covered: EndpointLists['allowed'],
  listener: string | undefined,
): readonly Expansion[] {
  const byEntry = new Map<ListEntry['entry'], { readonly source: string; readonly methods: MethodName[] }>();
  for (const [method, { entry, span }] of covered ?? []) {
    if (entry === method) continue;
    const expansion = byEntry.get(entry) ?? { source: place(span), methods: [] };
    expansion.methods.push(method);
    byEntry.set(entry, expansion);
  }
  return Array.from(byEntry, ([entry, { source, methods }]) => ({
    list,
    ...(listener === undefined ? {} : { listener }),
    entry,
    source,
    methods,
  }));
}

function writtenForm({ section, key, value }: Effective): string {
  const row = settings.find((row) => row.section === section && row.key === key);
  return row === undefined || value === undefined ? '(not set)' : row.type.write(value);
}
