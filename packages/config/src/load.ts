import { createHash } from 'node:crypto';
import { methodNames } from '@kata-agent/catalogue';
import { type ChosenDocument, chooseBaseDocument } from './base-document.js';
import type { Configuration, Inputs, Loaded } from './configuration.js';
import { deepFreeze } from './deep-freeze.js';
import type { Diagnostic } from './diagnostic.js';
import { type ParsedDocument, parseDocument } from './document.js';
import { type KernelLine, parseKernelLine } from './kernel-line.js';
import { collectOverrides } from './overrides.js';
import { sectionValues } from './section-values.js';
import { isServed } from './served.js';
import { settle } from './settle.js';
import { agentSettings } from './settings/agent-settings-table.js';
import { apiSettings } from './settings/api-settings.js';
import { auditSettings } from './settings/audit-settings.js';
import { limitSettings } from './settings/limit-settings.js';
import { measurementSettings } from './settings/measurement-settings.js';

/**
 * Makes the one configuration of an agent from its documents and overrides, or tells everything that is wrong. Pure but
 * for `files`, which is asked for each document once.
 */
export async function loadConfiguration(inputs: Inputs): Promise<Loaded> {
  const kernel = parseKernelLine(inputs.kernelLine ?? '');
  const chosen = chooseBaseDocument(inputs, kernel);
  if (!chosen.ok) return refused(chosen.diagnostics);
  if (chosen.document === undefined) return combine([], [], inputs, kernel);
  const parsed = parseDocument(chosen.document.bytes, chosen.document.file, inputs);
  if (!parsed.ok) return refused(parsed.diagnostics);
  return combine([parsed.document], [chosen.document.source], inputs, kernel);
}

/** The documents, base first, and how each was found. */
function combine(
  documents: readonly ParsedDocument[],
  sources: readonly ChosenDocument['source'][],
  inputs: Inputs,
  kernel: KernelLine,
): Loaded {
  const apiDocuments = documents.map(({ api }) => api);
  const restricted = methodNames.some((method) => !isServed(apiDocuments, method));
  const collected = collectOverrides(inputs, kernel);
  const settled = settle(documents, collected.overrides, restricted);
  const warnings = [
    ...generalWarnings(documents, inputs),
    ...documents.flatMap((document) => document.warnings),
    ...collected.diagnostics,
    ...settled.diagnostics,
  ];
  if (warnings.some(({ severity }) => severity === 'error')) return refused(warnings);

  const { strict, onDeniedRead, deniedOutput } = sectionValues(apiSettings, settled.values);
  const settings = sectionValues(agentSettings, settled.values);
  const configuration: Configuration = {
    settings,
    api: { documents: apiDocuments, strict, onDeniedRead, deniedOutput },
    audit: sectionValues(auditSettings, settled.values),
    limits: sectionValues(limitSettings, settled.values),
    measurement: sectionValues(measurementSettings, settled.values),
    listeners: [{ name: 'server_addr', address: settings.serverAddr, peers: ['host'] }],
    documents: documents.map(({ file, sha256 }, index) => ({ file, source: sources[index] ?? '', sha256 })),
    digest: digestOf(documents),
    restricted,
    values: settled.values,
    ignoredOverrides: settled.ignoredOverrides,
    warnings,
  };
  return { ok: true, configuration: deepFreeze(configuration) };
}

function refused(diagnostics: readonly Diagnostic[]): Loaded {
  return { ok: false, diagnostics, exitCode: 1 };
}

function generalWarnings(documents: readonly ParsedDocument[], inputs: Inputs): readonly Diagnostic[] {
  const warnings: Diagnostic[] = [];
  if (documents.length === 0) {
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

/** SHA-256 over the documents' digests, one a line, base first. */
function digestOf(documents: readonly ParsedDocument[]): string {
  const list = documents.map(({ sha256 }) => `${sha256}\n`).join('');
  return createHash('sha256').update(list).digest('hex');
}
