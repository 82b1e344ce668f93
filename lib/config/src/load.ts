import type { Configuration, Inputs, Loaded } from './configuration.js';
import { deepFreeze } from './deep-freeze.js';
import { configurationDigest } from './delivery/measured-event.js';
import type { Diagnostic } from './diagnostics/diagnostic.js';
import { type KernelCommandLine, parseKernelCommandLine } from './kernel-command-line.js';
import { implicitListener } from './listener/implicit-listener.js';
import { listenerSettings } from './merge/listener-settings.js';
import { readPemTexts } from './merge/named-files.js';
import { collectOverrides } from './overrides/overrides.js';
import { isRestricted } from './consistency/restricted.js';
import { sectionValues } from './settings/section-values.js';
import { checkForward } from './consistency/check-forward.js';
import { checkLayers } from './consistency/check-layers.js';
import { checkConsistency } from './consistency/check-consistency.js';
import { settle, type Settled } from './merge/settle.js';
import { agentSettings } from './settings/agent-settings-table.js';
import { apiSettings } from './settings/api-settings.js';
import { auditSettings } from './settings/audit-settings.js';
import { limitSettings } from './settings/limit-settings.js';
import { imageConfiguration } from './merge/image-configuration.js';
import { imageSettings } from './settings/image-settings.js';
import { evidenceSettings } from './settings/evidence-settings.js';
import { measurementSettings } from './settings/measurement-settings.js';
import { witnessSettings } from './merge/witness-settings.js';
import { checkComponentFiles } from './merge/check-component-files.js';
import { checkFurtherImage } from './stack/check-further-image.js';
import { checkStack } from './stack/check-stack.js';
import { checkEvidenceOfContainers } from './merge/check-evidence-of-containers.js';
import { stackDocuments } from './stack/stack-documents.js';
import { type StackedDocuments, wrong } from './stack/stacked-document.js';

/**
 * Builds the configuration of an agent from its documents and overrides, or reports all errors. Does I/O only through
 * `files`, `delivery` and `hostData`, each of which is read once.
 */
export async function loadConfiguration(inputs: Inputs): Promise<Loaded> {
  const kernel = parseKernelCommandLine(inputs.kernelCommandLine ?? '');
  const stacked = await stackDocuments(inputs, kernel);
  return stacked.ok ? combine(stacked, inputs, kernel) : stacked;
}

function combine(stacked: StackedDocuments, inputs: Inputs, kernel: KernelCommandLine): Loaded {
  const { documents, records, initdata, initdataTexts = new Map() } = stacked;
  const [base] = documents;
  const names = base?.listeners.length ? base.listeners.map(({ name }) => name) : [implicitListener];
  const restricted = isRestricted(documents, names);
  const collected = collectOverrides(inputs, kernel);
  const settled = withStateDirectory(
    // The policy of an agent without a base document forbids no override, as with Kata's agent.
    settle(documents, collected.overrides, restricted && records.length > 0),
    inputs.stateDirectory,
  );
  const api = sectionValues(apiSettings, settled.values);
  const pem = readPemTexts(base, inputs.offline === undefined ? inputs.files : inputs.offline.files);
  const warnings = [
    ...generalWarnings({ documents: documents.length, records: records.length }, inputs),
    ...stacked.warnings,
    ...collected.diagnostics,
    ...settled.diagnostics,
    ...checkEvidenceOfContainers(settled, documents),
    ...checkStack(documents),
    ...checkFurtherImage(documents),
    ...checkComponentFiles(initdata, settled),
    ...pem.diagnostics,
    ...checkForward(documents, settled.values),
    ...checkLayers(documents, settled.values),
    ...checkConsistency(documents, {
      listeners: names,
      strict: api.strict,
      inconsistentSeverity: inputs.offline?.sense ?? 'warning',
      handlers: inputs.handlers,
    }),
  ];
  if (warnings.some(({ severity }) => severity === 'error')) return wrong(warnings);

  const settings = sectionValues(agentSettings, settled.values);
  const configuration: Configuration = {
    settings,
    api: {
      documents: documents.map((document) => document.api),
      strict: api.strict,
      onDeniedRead: api.onDeniedRead,
      deniedOutput: api.deniedOutput,
    },
    audit: sectionValues(auditSettings, settled.values),
    witnesses: (base?.witnesses ?? []).map((entry) => witnessSettings(entry, pem.texts)),
    secrets: (base?.secrets ?? []).map(({ span: _span, ...secret }) => secret),
    limits: sectionValues(limitSettings, settled.values),
    measurement: sectionValues(measurementSettings, settled.values),
    image: imageConfiguration(sectionValues(imageSettings, settled.values), documents, pem.texts),
    evidence: sectionValues(evidenceSettings, settled.values),
    listeners: listenerSettings(
      documents,
      {
        serverAddr: settings.serverAddr,
        onDeniedRead: api.onDeniedRead,
      },
      pem.texts,
    ),
    documents: records,
    files: pem.files,
    digest: configurationDigest(
      records.length === 0 && initdata !== undefined ? [initdata] : records,
      pem.files,
    ),
    ...(initdata === undefined ? {} : { initdata }),
    initdataTexts,
    restricted,
    values: settled.values,
    ignoredOverrides: settled.ignoredOverrides,
    warnings,
  };
  return { ok: true, configuration: deepFreeze(configuration) };
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
