import type { MeasurementSettings } from '../configuration.js';
import { oneOf } from '../value-types/one-of.js';
import { register } from '../value-types/register.js';
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
    default: 23,
    purpose: 'The register of the TPM. Those from 16 on can be reset by the guest.',
    example: '23',
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
