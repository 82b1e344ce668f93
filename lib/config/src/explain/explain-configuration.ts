import {
  type MethodName,
  methodNames,
  type UnclaimedGuarantee,
  unclaimedWithForward,
} from '@kata-agent/catalogue';
import type {
  ApiDocument,
  Configuration,
  Effective,
  EndpointLists,
  IgnoredOverride,
  ListEntry,
  Rule,
  SecretSettings,
} from '../configuration.js';
import type { LoadedDocument, LoadedInitdata } from '../delivery.js';
import { place } from '../diagnostics/diagnostic.js';
import { settings as rows } from '../settings/settings.js';
import {
  type ExplainedEndpoint,
  type ExplainedRule,
  explainEndpoint,
  listenerMatrix,
  type MatrixRow,
} from './explain-endpoint.js';
import { type ExplainedListener, explainListeners } from './explain-listener.js';
import { type ExplainedProfile, explainProfile } from './explain-profile.js';
import { writeDuration } from '../value-types/quantities.js';

/** An effective configuration as JSON. */
export interface Explanation {
  readonly documents: readonly LoadedDocument[];
  readonly digest: string;
  readonly initdata?: LoadedInitdata;
  readonly listeners: readonly ExplainedListener[];
  /** Absent if there is none. */
  readonly witnesses?: readonly ExplainedWitness[];
  /** Where sealed secrets are unsealed; without a document everywhere. */
  readonly secrets: readonly SecretSettings[];
  readonly settings: readonly ExplainedSetting[];
  /** Of the documents that name one. */
  readonly profiles: readonly ExplainedProfile[];
  readonly rules: readonly ExpandedRule[];
  readonly expansions: readonly Expansion[];
  readonly endpoints: readonly ExplainedEndpoint[];
  /** Absent if there is one listener only. */
  readonly matrix?: readonly MatrixRow[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
  /** With `[agent] forward`. */
  readonly forward?: ExplainedForward;
}

/** The agent that does the work, and what is not claimed of it. */
interface ExplainedForward {
  readonly address: string;
  readonly unclaimed: readonly UnclaimedGuarantee[];
}

/** A rule with all methods it applies to. */
export interface ExpandedRule extends ExplainedRule {
  readonly expression: string;
  readonly endpoints: readonly MethodName[];
}

export interface ExplainedSetting extends Effective {
  /** The value in TOML; `(not set)` if there is none. */
  readonly written: string;
}

/** The methods of a list entry that is a group or `*`, without those covered by an earlier entry. */
export interface Expansion {
  readonly list: 'allowed_endpoints' | 'blocked_endpoints';
  /** The listener the list belongs to; absent for `[api]`. */
  readonly listener?: string;
  readonly entry: string;
  readonly source: string;
  readonly methods: readonly MethodName[];
}

/**
 * Explains each setting and each endpoint.
 *
 * @param builtIn the methods whose handlers the program contains; by default all.
 */
export function explainConfiguration(
  configuration: Configuration,
  builtIn?: ReadonlySet<MethodName>,
): Explanation {
  const { documents, digest, initdata, values, ignoredOverrides, api, listeners, settings } = configuration;
  const { forward } = settings;
  const explained = listeners.flatMap(({ name }) =>
    methodNames.map((method) => explainEndpoint(api.documents, name, method, builtIn)),
  );
  const matrix = listenerMatrix(listeners, explained);
  return {
    documents,
    digest,
    ...(initdata === undefined ? {} : { initdata }),
    listeners: explainListeners(configuration),
    ...(configuration.witnesses.length === 0 ? {} : { witnesses: explainWitnesses(configuration) }),
    secrets: configuration.secrets,
    settings: values.map((value) => ({ ...value, written: writtenForm(value) })),
    profiles: api.documents.flatMap((document) => explainProfile(document) ?? []),
    rules: api.documents.flatMap(({ rules }) => rules.map(explainedRule)),
    expansions: api.documents.flatMap(expansionsOf),
    endpoints: explained,
    ...(matrix === undefined ? {} : { matrix }),
    ignoredOverrides,
    ...(forward === undefined ? {} : { forward: { address: forward, unclaimed: unclaimedWithForward } }),
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
  const row = rows.find((row) => row.section === section && row.key === key);
  return row === undefined || value === undefined ? '(not set)' : row.type.write(value);
}

/** A witness of the audit log, and where it is asked. */
interface ExplainedWitness {
  readonly name: string;
  readonly key: string;
  /** Absent: at an address of its own. */
  readonly listener?: string;
  /** `https://` alone if a delivered document sets the address of the listener. */
  readonly url: string;
}

function explainWitnesses({
  witnesses,
  listeners,
}: Pick<Configuration, 'witnesses' | 'listeners'>): readonly ExplainedWitness[] {
  return witnesses.map(({ name, key, via }) =>
    via.kind === 'url'
      ? { name, key, url: via.url }
      : {
          name,
          key,
          listener: via.name,
          url: listeners.find((listener) => listener.name === via.name)?.address ?? '',
        },
  );
}

/** Renders what the agent does with its witnesses. */
export function renderWitnesses(
  witnesses: readonly ExplainedWitness[],
  { quorum, requiredWithin }: { readonly quorum: number; readonly requiredWithin: number | 'off' },
): string {
  return [
    `witnesses of the audit log: ${quorum} of ${witnesses.length} must cosign a checkpoint`,
    ...witnesses.map(
      ({ name, listener, url }) =>
        `  ${name}, asked at ${url}${listener === undefined ? '' : ` as the listener "${listener}" dials it`}`,
    ),
    requiredWithin === 'off'
      ? '  no call depends on them: required_within = "off"'
      : `  calls of the host that change something are refused once a record of ${writeDuration(requiredWithin)} is not covered`,
  ].join('\n');
}

/** Renders where sealed secrets are unsealed; `isConfigured` false: there is no document. */
export function renderSecrets(secrets: readonly SecretSettings[], isConfigured: boolean): string {
  if (!isConfigured) return "sealed secrets: unsealed wherever the host puts them, as with Kata's agent";
  if (secrets.length === 0) return 'sealed secrets: none is unsealed';
  return [
    'sealed secrets: unsealed only here',
    ...secrets.map((secret) => `  ${describePlace(secret)}: ${describeBinding(secret)}`),
  ].join('\n');
}

/** Describes a place: `env DB_PASSWORD of db`. */
export function describePlace({ container, place }: SecretSettings): string {
  return place.kind === 'env' ? `env ${place.name} of ${container}` : `file ${place.path} of ${container}`;
}

/** Describes which secrets a place may have. */
export function describeBinding({ resource, sha256 }: SecretSettings): string {
  return [
    ...(resource === undefined ? [] : [resource]),
    ...(sha256 === undefined ? [] : [`sha256 ${sha256}`]),
  ].join(', ');
}
