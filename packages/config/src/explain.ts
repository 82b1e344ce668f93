import { endpoints, type MethodName, methodNames } from '@kata-agent/catalogue';
import type {
  ApiDocument,
  Configuration,
  DocumentRecord,
  Effective,
  IgnoredOverride,
  ListEntry,
} from './configuration.js';
import { place } from './diagnostic.js';
import { isServed } from './served.js';
import { settings } from './settings/settings.js';

/** What a configuration comes to, as JSON. */
export interface Explanation {
  readonly documents: readonly DocumentRecord[];
  readonly digest: string;
  readonly settings: readonly ExplainedSetting[];
  readonly expansions: readonly Expansion[];
  readonly endpoints: readonly ExplainedEndpoint[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
}

export interface ExplainedSetting extends Effective {
  /** The value as a document would have it; `(not set)` if it has none. */
  readonly written: string;
}

/** What an entry of a list that is no method's name stands for; methods that an earlier entry covers are left out. */
export interface Expansion {
  readonly list: 'allowed_endpoints' | 'blocked_endpoints';
  readonly entry: string;
  readonly source: string;
  readonly methods: readonly MethodName[];
}

export interface ExplainedEndpoint {
  readonly method: MethodName;
  /** The configuration serves it. If it is not `built`, it answers UNIMPLEMENTED all the same. */
  readonly served: boolean;
  readonly built: boolean;
  readonly reason: string;
}

/** The gate's word on a method. */
export type Decide = (method: MethodName) => {
  readonly outcome: 'allow' | 'deny';
  readonly reason: string;
};

/** Explains each setting and each endpoint. `decide` is the gate's, so that what is told is what is done. */
export function explainConfiguration(configuration: Configuration, decide?: Decide): Explanation {
  const { documents, digest, values, ignoredOverrides, api } = configuration;
  const byDocuments: Decide = (method) =>
    isServed(api.documents, method)
      ? { outcome: 'allow', reason: 'the documents serve it' }
      : { outcome: 'deny', reason: 'the documents do not serve it' };
  return {
    documents,
    digest,
    settings: values.map((value) => ({ ...value, written: writtenForm(value) })),
    expansions: api.documents.flatMap(expansionsOf),
    endpoints: methodNames.map((method) => {
      const { outcome, reason } = (decide ?? byDocuments)(method);
      return { method, served: outcome === 'allow', built: endpoints[method].built, reason };
    }),
    ignoredOverrides,
  };
}

function expansionsOf({ allowed, blocked }: ApiDocument): readonly Expansion[] {
  return [
    ...expansionsOfList('allowed_endpoints', allowed),
    ...expansionsOfList('blocked_endpoints', blocked),
  ];
}

function expansionsOfList(list: Expansion['list'], covered: ApiDocument['allowed']): readonly Expansion[] {
  const byEntry = new Map<ListEntry['entry'], { readonly source: string; readonly methods: MethodName[] }>();
  for (const [method, { entry, span }] of covered ?? []) {
    if (entry === method) continue;
    const expansion = byEntry.get(entry) ?? { source: place(span), methods: [] };
    expansion.methods.push(method);
    byEntry.set(entry, expansion);
  }
  return Array.from(byEntry, ([entry, { source, methods }]) => ({ list, entry, source, methods }));
}

function writtenForm({ section, key, value }: Effective): string {
  const row = settings.find((row) => row.section === section && row.key === key);
  return row === undefined || value === undefined ? '(not set)' : row.type.write(value);
}
