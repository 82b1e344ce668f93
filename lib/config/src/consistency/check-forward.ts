import type { Effective } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { agentSettings } from '../settings/agent-settings-table.js';
import { apiSettings } from '../settings/api-settings.js';
import { evidenceSettings } from '../settings/evidence-settings.js';
import { same } from '../settings/read-section.js';
import type { SettingRow } from '../settings/setting.js';
import { settings } from '../settings/settings.js';

/**
 * Checks that with `forward` nothing depends on the guest, which belongs to the inner agent then: an error for each setting
 * and rule of a document that would be relied on. Overrides are warnings, since Kata's runtimes always send some.
 */
export function checkForward(
  documents: readonly ParsedDocument[],
  values: readonly Effective[],
): readonly Diagnostic[] {
  const { section, key } = agentSettings.forward;
  const forward = values.find((value) => value.section === section && value.key === key);
  if (forward?.value === undefined) return [];
  return [
    ...documents.flatMap(settingsOfGuest),
    ...documents.flatMap(evidence),
    ...overridesOfGuest(values),
    ...documents.flatMap(secrets),
    ...documents.flatMap(deniedReads),
    ...documents.flatMap(({ api }) => api.rules.flatMap(({ needsGuest = [] }) => needsGuest)),
  ];
}

function settingsOfGuest(document: ParsedDocument): readonly Diagnostic[] {
  return Object.values(document.sections).flatMap((section) =>
    Array.from(section.values()).flatMap(({ row, value, span }) => {
      const fault = withoutGuest(row);
      if (fault === undefined || same(value, row.default)) return [];
      return [diagnosticIn(document, 'error', 'KA1112', span, fault, 'remove it')];
    }),
  );
}

/**
 * Refuses evidence: containers are the inner agent's, and nothing here keeps them from the devices, the configfs and the socket
 * that evidence comes from.
 */
function evidence(document: ParsedDocument): readonly Diagnostic[] {
  const { key, default: none } = evidenceSettings.sources;
  const sources = document.sections.evidence.get(key);
  if (sources === undefined || same(sources.value, none)) return [];
  const fault = 'evidence with forward: a container of the inner agent can reach what gives it';
  return [diagnosticIn(document, 'error', 'KA1118', sources.span, fault, 'remove [evidence], or forward')];
}

function overridesOfGuest(values: readonly Effective[]): readonly Diagnostic[] {
  return values.flatMap(({ section, key, source, span, value }): Diagnostic[] => {
    const row = settings.find((row) => row.section === section && row.key === key);
    const fault = row && withoutGuest(row);
    if (fault === undefined || span !== undefined || row === undefined || same(value, row.default)) return [];
    return [{ severity: 'warning', code: 'KA1112', message: `${source}: ${fault}`, help: 'remove it' }];
  });
}

function withoutGuest({ key, withoutGuest: reason }: SettingRow): string | undefined {
  return reason === undefined ? undefined : `${key} has no effect with forward: ${reason}`;
}

/** The inner agent unseals, and follows no configuration of this one. */
function secrets(document: ParsedDocument): readonly Diagnostic[] {
  const fault =
    '[[secret]] has no effect with forward: the inner agent unseals whatever the host puts into a container';
  const help = 'remove it, and deny texts that begin with "sealed." by a rule';
  return document.secrets.map(({ span }) => diagnosticIn(document, 'error', 'KA1112', span, fault, help));
}

/** End of file in place of an error, for a listener or by a rule, as `on_denied_read` of `[api]`. */
function deniedReads(document: ParsedDocument): readonly Diagnostic[] {
  const fault = withoutGuest(apiSettings.onDeniedRead) ?? '';
  return [...document.listeners, ...document.api.rules]
    .filter(
      ({ onDeniedRead = apiSettings.onDeniedRead.default }) =>
        onDeniedRead !== apiSettings.onDeniedRead.default,
    )
    .map(({ span }) => diagnosticIn(document, 'error', 'KA1112', span, fault, 'remove it'));
}
