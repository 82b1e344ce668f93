import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { AgentKeys, Claims } from '@kata-agent/evidence';
import { type Measurement, MeasurementError, type RegisterReport } from '@kata-agent/measurement';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { Attester } from './attester.js';
import { evidenceSource, type EvidenceSource } from './evidence-source.js';
import { sealRegister } from './seal-registers.js';

export interface AttesterEnvironment {
  readonly bootId: string;
  /** Those of this start. */
  readonly keys: AgentKeys;
  readonly audit: Pick<AuditLog, 'checkpoint'>;
  /** What became of the configuration's measurement. */
  readonly measured: readonly RegisterReport[];
  readonly log: Log;
}

/**
 * Opens the sources of evidence, and measures the keys of this start into the registers that have the configuration, before any
 * listener opens. Undefined: no source is there, and none is required.
 *
 * @throws CannotApply if a required source is not there, or if keys cannot be measured into a required register.
 */
export async function openAttester(
  configuration: Configuration,
  environment: AttesterEnvironment & { readonly registers: Measurement['registers'] },
): Promise<Attester | undefined> {
  const { bootId, keys, audit, registers, measured, log } = environment;
  for (const { register, need } of registers) {
    const report = measured.find((one) => one.register === register.name);
    if (report === undefined || report.outcome === 'failed') continue;
    try {
      const sealing = await sealRegister(register, keys, bootId);
      if (sealing === 'sealed') log('info', 'the keys are measured', { register: register.name });
      else
        log(
          'warn',
          'the keys of this start are not measured: the agent was started before in this boot\nhelp: start the guest again, or evidence will not be verified',
          { register: register.name },
        );
    } catch (error) {
      if (!(error instanceof MeasurementError)) throw error;
      if (need === 'require')
        throw new CannotApply(
          `the keys could not be measured into ${register.name}, which is required: ${error.message}`,
          { cause: error },
        );
      log('warn', 'the keys are not measured', { register: register.name, reason: error.message });
    }
  }
  const sources: EvidenceSource[] = [];
  let ofSources: Pick<Claims, 'tpmAk'> = {};
  for (const name of configuration.evidence.sources) {
    try {
      const source = evidenceSource(name, configuration, process.env);
      ofSources = { ...ofSources, ...(await source.check()) };
      sources.push(source);
    } catch (error) {
      if (!(error instanceof MeasurementError)) throw error;
      if (configuration.evidence.require.includes(name))
        throw new CannotApply(
          `the source of evidence "${name}", which is required, is not there: ${error.message}`,
          {
            cause: error,
          },
        );
      log('warn', 'a source of evidence is not there', { source: name, reason: error.message });
    }
  }
  if (sources.length === 0) return undefined;
  log('info', 'evidence', { sources: sources.map(({ name }) => name).join(', ') });
  return new Attester({ configuration, bootId, keys, audit, sources, ofSources });
}
