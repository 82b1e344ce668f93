import { type Configuration, measuredEvent } from '@kata-agent/config';
import { measure, type Measurement, MeasurementError, type RegisterReport } from '@kata-agent/measurement';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';

/** Lost with the boot, as registers are. Verifiers find the event logs here. */
export const measurementDirectory = '/run/kata-agent/measurement';

/**
 * Measures the configuration as its `[measurement]` requires, before any of it takes effect (S7).
 *
 * @throws CannotApply if a required register fails, or if this boot was measured with another configuration.
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
  const registers = await loadRegisters(configuration);
  // Registers need root, and so does reading what this boot has measured.
  if (registers.length === 0 && process.geteuid?.() !== 0) return [];
  const subject = `sha256:${configuration.digest}`;
  return measure(
    { event: measuredEvent(configuration), subject, registers },
    { directory: measurementDirectory, bootId },
  );
}

/** Loads the code for registers, if the configuration has any. Throws a MeasurementError. */
export async function loadRegisters(configuration: Configuration): Promise<Measurement['registers']> {
  const { tpm, rtmr } = configuration.measurement;
  if (tpm === 'off' && rtmr === 'off') return [];
  const { registersOf } = await import('./registers.js');
  return registersOf(configuration);
}
