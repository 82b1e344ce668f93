import type { MeasurementSettings } from '../configuration.js';
import { oneOf } from '../value-types/scalars.js';
import { checkpointRegister, register } from '../value-types/evidence.js';
import type { Setting } from './setting.js';

const common = {
  section: 'measurement',
  opensGuest: false,
  override: undefined,
  built: 'yes',
  merge: 'base only',
} as const;

const effort = oneOf(['off', 'try', 'require']);

/** The rows of `[measurement]` (R8, S7). */
export const measurementSettings: {
  readonly [P in keyof MeasurementSettings]: Setting<MeasurementSettings[P]>;
} = {
  tpm: {
    ...common,
    key: 'tpm',
    type: effort,
    default: 'off',
    purpose:
      'Whether the digest of the configuration is extended into a register of a TPM, and whether the agent starts without.',
    example: '"require"',
  },
  pcr: {
    ...common,
    key: 'pcr',
    type: register,
    default: 13,
    purpose:
      'The register of the TPM. Root in the guest can reset 16 and 23, so they are errors with tpm = "require".',
    example: '13',
  },
  checkpointPcr: {
    ...common,
    key: 'checkpoint_pcr',
    type: checkpointRegister,
    default: 'off',
    purpose:
      'Another register of the TPM, into which checkpoints of the audit log are extended: at the start, every 10 minutes if there are new records, and at the end.',
    example: '14',
  },
  rtmr: {
    ...common,
    key: 'rtmr',
    type: effort,
    default: 'off',
    purpose: 'The same for a runtime measurement register of TDX.',
    example: '"require"',
  },
};
