import type { Configuration, SettingValue } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { Report } from '../diagnostics/report.js';
import type { ParsedDocument } from './parsed-document.js';
import type { Settled } from '../settings/settle.js';
import { evidenceSettings } from '../settings/evidence-settings.js';
import { measurementSettings } from '../settings/measurement-settings.js';
import type { GivenSection } from '../settings/read-section.js';
import { firstResettable } from './check-measurement.js';

/** Reports an `[evidence]` section that promises what it does not give. */
export function checkEvidence(evidence: GivenSection, measurement: GivenSection, report: Report): void {
  const sources = evidence.get(evidenceSettings.sources.key);
  const require = evidence.get(evidenceSettings.require.key);
  const named = listOf(sources?.value);
  const missing = listOf(require?.value).find((source) => !named.includes(source));
  if (require !== undefined && missing !== undefined)
    report.error(
      'KA1110',
      require.span,
      `require names "${missing}", and sources does not`,
      `add it: sources = [${[...named, missing].map((name) => JSON.stringify(name)).join(', ')}]`,
    );
  const certificate = evidence.get(evidenceSettings.akCertificate.key);
  if (certificate !== undefined && certificate.value !== 'off' && !named.includes('tpm'))
    report.error(
      'KA1110',
      certificate.span,
      'ak_certificate is about the key of a TPM, and sources does not name "tpm"',
      'add "tpm" to sources, or remove ak_certificate',
    );
  if (sources === undefined || named.length === 0) return;
  if (named.includes('configfs-tsm') && named.includes('attestation-agent'))
    report.error(
      'KA1135',
      sources.span,
      'sources names "configfs-tsm" and "attestation-agent": both are reports of the one processor',
      'keep "configfs-tsm", which does not depend on another program',
    );
  const { tpm, pcr } = measurementSettings;
  if (named.includes('tpm') && (measurement.get(tpm.key)?.value ?? tpm.default) === 'off')
    report.error(
      'KA1110',
      sources.span,
      'sources names "tpm", and [measurement] tpm = "off": the TPM would not know the configuration',
      'write tpm = "require" in [measurement]',
    );
  const register = measurement.get(pcr.key);
  if (register !== undefined && Number(register.value) >= firstResettable)
    report.error(
      'KA1110',
      register.span,
      `pcr = ${Number(register.value)} with [evidence]: root in the guest can reset this register, and then extend it with another digest`,
      'use a register from 8 to 15',
    );
}

/**
 * Reports settings by which containers could get evidence, or reports over bytes of their choice: then the evidence of the agent
 * would prove nothing.
 */
export function checkEvidenceOfContainers(
  { values }: Pick<Settled, 'values'>,
  documents: readonly Pick<ParsedDocument, 'file' | 'lineOf'>[],
): readonly Diagnostic[] {
  const valueOf = (section: string, key: string): Configuration['values'][number] | undefined =>
    values.find((one) => one.section === section && one.key === key);
  if (listOf(valueOf('evidence', evidenceSettings.sources.key)?.value).length === 0) return [];
  return openings.flatMap(({ key, is, severity, why, help }): readonly Diagnostic[] => {
    const found = valueOf('agent', key);
    const text = typeof found?.value === 'string' ? found.value : '';
    if (found === undefined || !is.includes(text)) return [];
    const { span, source } = found;
    const document = documents.find(({ file }) => file === span?.file);
    const message = `${key} = "${text}" (${source}) with [evidence]: ${why}`;
    const place =
      span === undefined || document === undefined ? {} : { span, sourceLine: document.lineOf(span) };
    return [{ severity, code: 'KA1110', message, help, ...place }];
  });
}

/** Values of `[agent]` that let containers pass for the agent. */
const openings: readonly (Pick<Diagnostic, 'severity'> & {
  readonly key: string;
  readonly is: readonly string[];
  readonly why: string;
  readonly help: string;
})[] = [
  {
    key: 'guest_components_rest_api',
    is: ['all', 'attestation'],
    severity: 'error',
    why: 'any container would get reports over bytes of its choice, and could pass for the agent',
    help: 'write guest_components_rest_api = "resource"',
  },
  {
    key: 'privileged_containers',
    is: ['allow'],
    severity: 'warning',
    why: 'a privileged container is root in the guest, and can mount what gives evidence',
    help: 'write privileged_containers = "refuse"',
  },
];

function listOf(value: SettingValue): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
