import { type Configuration, measuredEvent } from '@kata-agent/config';
import {
  measure,
  type Measurement,
  MeasurementError,
  type RegisterReport,
  rtmrRegister,
  tpmRegister,
  tpmTransport,
} from '@kata-agent/measurement';
import { CannotApply } from './cannot-apply.js';
import type { Log } from './log.js';

/** Goes with the boot, as registers do. Verifiers find the event logs here. */
const folder = '/run/kata-agent/measurement';

/**
 * Measures the configuration as its `[measurement]` asks, before anything of it is in force (S7).
 *
 * @throws CannotApply when a required register does not take it, or this boot was measured with another configuration.
 */
export async function measureConfiguration(
  configuration: Configuration,
  environment: { readonly bootId: string; readonly log: Log },
): Promise<readonly RegisterReport[]> {
  const { bootId, log } = environment;
  const reports = await extend(configuration, bootId).catch((error: unknown) => {
    throw error instanceof MeasurementError ? new CannotApply(error.message, { cause: error }) : error;
  });
  for (const { register, outcome, digests, reason } of reports) {
    if (outcome === 'failed') log('warn', 'the configuration is not measured', { register, reason });
    else log('info', 'the configuration is measured', { register, outcome, ...digests });
  }
  return reports;
}

async function extend(configuration: Configuration, bootId: string): Promise<readonly RegisterReport[]> {
  const registers = registersOf(configuration);
  // A guest's agent is root; anyone else has no registers, and could not read what this boot has measured.
  if (registers.length === 0 && process.geteuid?.() !== 0) return [];
  const subject = `sha256:${configuration.digest}`;
  return measure({ event: measuredEvent(configuration), subject, registers }, { folder, bootId });
}

function registersOf({ measurement }: Configuration): Measurement['registers'] {
  const { tpm, pcr, rtmr } = measurement;
  const registers: Measurement['registers'][number][] = [];
  if (tpm !== 'off') {
    registers.push({ register: tpmRegister(pcr, tpmTransport(process.env)), need: tpm });
  }
  if (rtmr !== 'off') registers.push({ register: rtmrRegister(), need: rtmr });
  return registers;
}
