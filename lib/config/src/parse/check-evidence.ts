import type { SettingValue } from '../configuration.js';
import type { Report } from '../diagnostics/report.js';
import { evidenceSettings } from '../settings/evidence-settings.js';
import { measurementSettings } from '../settings/measurement-settings.js';
import type { GivenSection } from '../settings/read-section.js';

/** Root in the guest can reset the registers from here on (TCG PC Client Platform TPM Profile, PCR attributes). */
const firstResettable = 16;

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

function listOf(value: SettingValue): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Reports registers that do not prove what the section promises. */
export function checkMeasurement(section: GivenSection, report: Report): void {
  const { tpm, pcr, checkpointPcr } = measurementSettings;
  const valueOf = (row: { readonly key: string; readonly default: SettingValue }): SettingValue =>
    section.get(row.key)?.value ?? row.default;
  const use = valueOf(tpm);
  const register = Number(valueOf(pcr));
  const given = section.get(pcr.key);
  if (given !== undefined && use === 'require' && register >= firstResettable)
    report.error(
      'KA1109',
      given.span,
      `pcr = ${register} with tpm = "require": root in the guest can reset this register, and then extend it with another digest`,
      'use a register from 8 to 15',
    );
  const log = section.get(checkpointPcr.key);
  if (log === undefined || log.value === 'off') return;
  const checkpoints = Number(log.value);
  if (use === 'off')
    report.error(
      'KA1109',
      log.span,
      `checkpoint_pcr = ${checkpoints} with tpm = "off": no checkpoint would be extended`,
      'write tpm = "require" or "try", or remove checkpoint_pcr',
    );
  if (register === checkpoints)
    report.error(
      'KA1109',
      log.span,
      `checkpoint_pcr and pcr are both ${register}: the value of this register could not be computed in advance any more`,
      'use another register from 8 to 15',
    );
}
