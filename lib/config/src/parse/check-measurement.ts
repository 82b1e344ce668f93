import type { SettingValue } from '../configuration.js';
import type { Report } from '../diagnostics/report.js';
import type { GivenSection } from '../settings/read-section.js';
import { measurementSettings } from '../settings/measurement-settings.js';

/** Root in the guest can reset the registers from here on (TCG PC Client Platform TPM Profile, PCR attributes). */
export const firstResettable = 16;

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
