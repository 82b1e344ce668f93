import type { Configuration } from '@kata-agent/config';
import { type Measurement, rtmrRegister, tpmRegister, tpmTransport } from '@kata-agent/measurement';

/** Returns the registers into which the configuration is measured. Throws a MeasurementError. */
export function registersOf({ measurement }: Configuration): Measurement['registers'] {
  const { tpm, pcr, rtmr } = measurement;
  const registers: Measurement['registers'][number][] = [];
  if (tpm !== 'off') {
    registers.push({ register: tpmRegister(pcr, tpmTransport(process.env)), need: tpm });
  }
  if (rtmr !== 'off') registers.push({ register: rtmrRegister(), need: rtmr });
  return registers;
}
