import type { Configuration, Inputs, Loaded } from './configuration.js';
import { deepFreeze } from './deep-freeze.js';
import { configurationDigest } from './delivery/measured-event.js';
import type { Diagnostic } from './diagnostic.js';
import { type KernelLine, parseKernelLine } from './kernel-line.js';
import { implicitListener } from './listener/implicit-listener.js';
import { listenerSettings } from './listener/listener-settings.js';
import { collectOverrides } from './overrides.js';
import { isRestricted } from './restricted.js';
import { sectionValues } from './section-values.js';
import { checkSense } from './sense/check-sense.js';
import { settle, type Settled } from './settle.js';
import { agentSettings } from './settings/agent-settings-table.js';
import { apiSettings } from './settings/api-settings.js';
import { auditSettings } from './settings/audit-settings.js';
import { limitSettings } from './settings/limit-settings.js';
import { measurementSettings } from './settings/measurement-settings.js';
import { checkStack } from './stack/check-stack.js';
import { stackDocuments } from './stack/stack-documents.js';
import { type Stacked, wrong } from './stack/stacked-document.js';

/**
 * Makes the one configuration of an agent from its documents and overrides, or tells everything that is wrong. Pure but
 * for `files`, `delivery` and `hostData`, each of which is asked once for what it has.
 */
export async function loadConfiguration(inputs: Inputs): Promise<Loaded> {
  const kernel = parseKernelLine(inputs.kernelLine ?? '');
  const stacked = await stackDocuments(inputs, kernel);
  return stacked.ok ? combine(stacked, inputs, kernel) : stacked;
}

function combine(stacked: Stacked & { readonly ok: true }, inputs: Inputs, kernel: KernelLine): Loaded {
  const documents = stacked.documents.map(({ document }) => document);
  const [base] = documents;
  const names = base?.listeners.length ? base.listeners.map(({ name }) => name) : [implicitListener];
  const restricted = isRestricted(documents, names);
  const collected = collectOverrides(inputs, kernel);
  const settled = withStateDirectory(
    settle(documents, collected.overrides, restricted),
    inputs.stateDirectory,
  );
  const api = sectionValues(apiSettings, settled.values);
  const warnings = [
    ...generalWarnings(documents.length, inputs),
    ...stacked.warnings,
    ...collected.diagnostics,
    ...settled.diagnostics,
    ...checkStack(documents),
    ...checkSense(documents, {
      listeners: names,
      strict: api.strict,
      senseless: inputs.offline?.sense ?? 'warning',
      handlers: inputs.handlers,
    }),
  ];
  if (warnings.some(({ severity }) => severity === 'error')) return wrong(warnings);

  const settings = sectionValues(agentSettings, settled.values);
  const records = stacked.documents.map(({ record }) => record);
  const configuration: Configuration = {
    settings,
    api: {
      documents: documents.map((document) => document.api),
      strict: api.strict,
      onDeniedRead: api.onDeniedRead,
      deniedOutput: api.deniedOutput,
    },
    audit: sectionValues(auditSettings, settled.values),
    limits: sectionValues(limitSettings, settled.values),
    measurement: sectionValues(measurementSettings, settled.values),
    listeners: listenerSettings(base, settings.serverAddr),
    documents: records,
    digest: configurationDigest(records),
    restricted,
    values: settled.values,
    ignoredOverrides: settled.ignoredOverrides,
    warnings,
  };
  return { ok: true, configuration: deepFreeze(configuration) };
}

/** Two agents must not write one audit log: its default goes with the state directory. */
function withStateDirectory(settled: Settled, directory: string | undefined): Settled {
  if (directory === undefined) return settled;
  const { key, section } = auditSettings.file;
  const moved = { value: `${directory}/audit.log`, source: 'command line --state-dir' };
  const values = settled.values.map((each) =>
    each.section === section && each.key === key && each.source === 'default' ? { ...each, ...moved } : each,
  );
  return { ...settled, values };
}

function generalWarnings(documents: number, inputs: Inputs): readonly Diagnostic[] {
  const warnings: Diagnostic[] = [];
  if (documents === 0) {
    warnings.push({
      severity: 'warning',
      message: 'there is no configuration: the full API is served',
      help: `write one to ${inputs.defaultPath ?? 'a file'}${inputs.defaultPath === undefined ? ' and name it with -c FILE' : ''}`,
    });
  }
  if (inputs.relaxedPermissions === true) {
    warnings.push({
      severity: 'warning',
      message: 'permissions are relaxed: whoever can write the configuration rules this agent',
      help: 'for development only: leave --relaxed-permissions out of an image',
    });
  }
  return warnings;
}
