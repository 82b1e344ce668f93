import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { isServed } from './api/served.js';
import type {
  Configuration,
  Effective,
  Inputs,
  Loaded,
  RuleChecker,
  WitnessSettings,
} from './configuration.js';
import { configurationDigest } from './delivery/measured-event.js';
import type { Diagnostic } from './diagnostics/diagnostic.js';
import { type KernelCommandLine, parseKernelCommandLine } from './kernel-command-line.js';
import { implicitListener } from './listener/listener-place.js';
import { listenerSettings } from './merge/listener-settings.js';
import { type PemTexts, readPemTexts, witnessCaKey } from './merge/named-files.js';
import { collectOverrides } from './overrides.js';
import { checkForward } from './consistency/check-forward.js';
import { checkLayers } from './consistency/check-layers.js';
import { checkConsistency } from './consistency/check-consistency.js';
import { settle, type Settled } from './merge/settle.js';
import { agentSettings } from './settings/agent-settings-table.js';
import { type ApiKeys, apiSettings } from './settings/api-settings.js';
import { auditSettings } from './settings/audit-settings.js';
import { limitSettings } from './settings/limit-settings.js';
import { imageConfiguration } from './merge/image-configuration.js';
import { imageSettings } from './settings/image-settings.js';
import { evidenceSettings } from './settings/evidence-settings.js';
import { measurementSettings } from './settings/measurement-settings.js';
import { checkComponentFiles, checkEvidenceOfContainers } from './consistency/check-guest-components.js';
import { checkFurtherImage, checkStack } from './stack/check-stack.js';
import type { ParsedDocument } from './parse/parsed-document.js';
import type { Setting } from './settings/setting.js';
import { stackDocuments } from './stack/stack-documents.js';
import { type StackedDocuments, wrong } from './stack/stacked-document.js';
import { isWitnessAddress } from './value-types/addresses.js';
import type { WitnessEntry } from './witness/read-witnesses.js';

/**
 * Builds the configuration of an agent from its documents and overrides, or reports all errors. Does I/O only through
 * `files`, `delivery` and `hostData`, each of which is read once.
 */
export async function loadConfiguration(inputs: Inputs): Promise<Loaded> {
  const kernel = parseKernelCommandLine(inputs.kernelCommandLine ?? '');
  const stacked = await stackDocuments(inputs, kernel);
  if (!stacked.ok) return stacked;
  const merged = mergeDocuments(stacked, inputs, kernel);
  const warnings = checkMerged(stacked, merged, inputs);
  if (warnings.some(({ severity }) => severity === 'error')) return wrong(warnings);
  return { ok: true, configuration: deepFreeze(configurationOf(stacked, merged, warnings)) };
}

/** What all documents and overrides make together. */
interface Merged {
  readonly restricted: boolean;
  /** The names of the listeners that the base document has, or that of the implicit one. */
  readonly listeners: readonly string[];
  readonly settled: Settled;
  readonly api: ApiKeys;
  readonly pem: PemTexts;
  /** Of the overrides. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Determines the value of each setting, and reads the files that the base document names. */
function mergeDocuments(
  { documents, records }: StackedDocuments,
  inputs: Inputs,
  kernel: KernelCommandLine,
): Merged {
  const [base] = documents;
  const listeners = base?.listeners.length ? base.listeners.map(({ name }) => name) : [implicitListener];
  const restricted = isRestricted(documents, listeners);
  const { overrides, diagnostics } = collectOverrides(inputs, kernel);
  const settled = withStateDirectory(
    // The policy of an agent without a base document forbids no override, as with Kata's agent.
    settle(documents, overrides, restricted && records.length > 0),
    inputs.stateDirectory,
  );
  return {
    restricted,
    listeners,
    settled,
    api: sectionValues(apiSettings, settled.values),
    pem: readPemTexts(base, inputs.offline === undefined ? inputs.files : inputs.offline.files),
    diagnostics,
  };
}

/** Checks what the documents mean together: each was checked alone when it was parsed. */
function checkMerged(
  { documents, records, initdata, warnings }: StackedDocuments,
  { listeners, settled, api, pem, diagnostics }: Merged,
  inputs: Inputs,
): readonly Diagnostic[] {
  return [
    ...generalWarnings({ documents: documents.length, records: records.length }, inputs),
    ...warnings,
    ...diagnostics,
    ...settled.diagnostics,
    ...checkEvidenceOfContainers(settled, documents),
    ...checkStack(documents),
    ...checkFurtherImage(documents),
    ...checkComponentFiles(initdata, settled),
    ...pem.diagnostics,
    ...checkForward(documents, settled.values),
    ...checkLayers(documents, settled.values),
    ...checkConsistency(documents, {
      listeners,
      strict: api.strict,
      inconsistentSeverity: inputs.offline?.sense ?? 'warning',
      handlers: inputs.handlers,
    }),
  ];
}

/** Assembles the configuration of documents without errors. */
function configurationOf(
  { documents, records, initdata, initdataTexts = new Map() }: StackedDocuments,
  { restricted, settled, api, pem }: Merged,
  warnings: readonly Diagnostic[],
): Configuration {
  const { values, ignoredOverrides } = settled;
  const [base] = documents;
  const settings = sectionValues(agentSettings, values);
  const { serverAddr } = settings;
  const { strict, onDeniedRead, deniedOutput } = api;
  const measured = records.length === 0 && initdata !== undefined ? [initdata] : records;
  return {
    settings,
    api: { documents: documents.map((document) => document.api), strict, onDeniedRead, deniedOutput },
    audit: sectionValues(auditSettings, values),
    witnesses: (base?.witnesses ?? []).map((entry) => witnessSettings(entry, pem.texts)),
    secrets: (base?.secrets ?? []).map(({ span: _span, ...secret }) => secret),
    limits: sectionValues(limitSettings, values),
    measurement: sectionValues(measurementSettings, values),
    image: imageConfiguration(sectionValues(imageSettings, values), documents, pem.texts),
    evidence: sectionValues(evidenceSettings, values),
    listeners: listenerSettings(documents, { serverAddr, onDeniedRead }, pem.texts),
    documents: records,
    files: pem.files,
    digest: configurationDigest(measured, pem.files),
    ...(initdata === undefined ? {} : { initdata }),
    initdataTexts,
    restricted,
    values,
    ignoredOverrides,
    warnings,
  };
}

/** Sets the default path of the audit log below the state directory, because two agents must not write one log. */
function withStateDirectory(settled: Settled, directory: string | undefined): Settled {
  if (directory === undefined) return settled;
  const { key, section } = auditSettings.file;
  const moved = { value: `${directory}/audit.log`, source: 'command line --state-dir' };
  const values = settled.values.map((each) =>
    each.section === section && each.key === key && each.source === 'default' ? { ...each, ...moved } : each,
  );
  return { ...settled, values };
}

function generalWarnings(
  counts: { readonly documents: number; readonly records: number },
  inputs: Inputs,
): readonly Diagnostic[] {
  const warnings: Diagnostic[] = [];
  if (counts.records === 0) {
    warnings.push({
      severity: 'warning',
      code: 'KA1601',
      message: `there is no configuration: ${counts.documents === 0 ? 'the full API is served' : 'only the policy in initdata restricts the API'}`,
      help: `write one to ${inputs.defaultPath ?? 'a file'}${inputs.defaultPath === undefined ? ' and name it with -c FILE' : ''}`,
    });
  }
  if (inputs.relaxedPermissions === true) {
    warnings.push({
      severity: 'warning',
      code: 'KA1605',
      message: 'permissions are relaxed: each user who can write the configuration controls this agent',
      help: 'for development only: do not use --relaxed-permissions in an image',
    });
  }
  return warnings;
}

/** Freezes a value deeply and returns it. Maps cannot be frozen, so their mutating methods are removed. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) {
    for (const [key, item] of value) {
      deepFreeze(key);
      deepFreeze(item);
    }
    for (const name of ['set', 'delete', 'clear']) Object.defineProperty(value, name, { value: refuse });
  } else {
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return Object.freeze(value);
}

function refuse(): never {
  throw new TypeError('the configuration is frozen');
}

/** Returns the values of one section under their names in code. */
function sectionValues<S extends object>(
  rows: { readonly [P in keyof S]: Setting<S[P]> },
  values: readonly Effective[],
): S {
  const named = Object.entries<Setting<unknown>>(rows).map(([property, row]) => {
    const effective = values.find(({ section, key }) => section === row.section && key === row.key);
    return [property, effective === undefined ? row.default : effective.value] as const;
  });
  // Each value was parsed by its row's type, or is its default.
  return Object.fromEntries(named) as S;
}

/**
 * Reports whether the documents restrict the API: some method is not served on some listener, or there is a rule or a
 * listener.
 */
function isRestricted(documents: readonly ParsedDocument[], listeners: readonly string[]): boolean {
  if (documents.length === 0) return false;
  if (documents.some((document) => document.api.rules.length > 0 || document.listeners.length > 0))
    return true;
  const apis = documents.map(({ api }) => api);
  return listeners.some((listener) => methodNames.some((method) => !isServed(apis, listener, method)));
}

/** Returns a witness, with its CA as text. */
function witnessSettings({ name, key, via }: WitnessEntry, pemTexts: PemTexts['texts']): WitnessSettings {
  return {
    name,
    key,
    via: isWitnessAddress(via.value)
      ? // Absent only on another machine, where no agent runs.
        { kind: 'url', url: via.value, ca: pemTexts.get(witnessCaKey(name)) ?? '' }
      : { kind: 'listener', name: via.value },
  };
}

export interface Checked {
  /** Errors and warnings in document order. */
  readonly diagnostics: readonly Diagnostic[];
  /** 1: the document would not load, or its sets are inconsistent. */
  readonly exitCode: 0 | 1;
}

export interface CheckOptions {
  /** The methods whose handlers a build contains; undefined: all. */
  readonly handlers?: ReadonlySet<MethodName>;
  /** Called when the document contains a rule; without it a rule is an error. */
  readonly rules?: () => Promise<RuleChecker>;
}

/** Fails closed: an unchecked rule is not reported as valid. */
const noChecker: RuleChecker = {
  patternFault: () => undefined,
  check: ({ expression }) => ({
    needsGuest: [],
    faults: [
      {
        severity: 'error',
        code: 'KA1314',
        start: 0,
        end: expression.length,
        message: 'rules cannot be checked here',
        help: 'check the document with kata-agent-ctl config check',
      },
    ],
  }),
};

/** Checks a base document on any machine, without overrides and without checking its location or owner. */
export async function checkDocument(
  bytes: Uint8Array,
  file: string,
  options: CheckOptions = {},
): Promise<Checked> {
  const loaded = await loadConfiguration({
    flags: {},
    environment: {},
    builtIn: { name: file, bytes },
    files: {
      read: () => ({
        ok: false,
        missing: true,
        code: 'KA1603',
        message: 'there is no other document',
        help: '',
      }),
    },
    rules: options.rules ?? (() => Promise.resolve(noChecker)),
    delivery: [],
    hostData: () => ({
      ok: false,
      message: 'there is no report on this machine',
      help: 'check it in the guest',
    }),
    ...(options.handlers === undefined ? {} : { handlers: options.handlers }),
    offline: { later: [], sense: 'error' },
  });
  return loaded.ok
    ? { diagnostics: loaded.configuration.warnings, exitCode: 0 }
    : { diagnostics: loaded.diagnostics, exitCode: 1 };
}
