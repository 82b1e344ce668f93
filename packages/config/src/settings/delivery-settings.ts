import type { DeliverySettings } from '../configuration.js';
import { boolean } from '../value-types/boolean.js';
import { deliveryBinding, deliveryNames } from '../value-types/delivery.js';
import { path } from '../value-types/text.js';
import type { Setting } from './setting.js';

const common = {
  section: 'delivery',
  opensGuest: false,
  override: undefined,
  built: 'yes',
  merge: 'base only',
} as const;

/** The rows of `[delivery]` (R8, S25). */
export const deliverySettings: { readonly [P in keyof DeliverySettings]: Setting<DeliverySettings[P]> } = {
  accept: {
    ...common,
    key: 'accept',
    type: deliveryNames,
    default: [],
    purpose: 'The ways by which further documents may come, in the order in which they are merged.',
    example: '["initdata"]',
  },
  bind: {
    ...common,
    key: 'bind',
    type: deliveryBinding,
    default: 'host_data',
    purpose:
      'What vouches for a delivered document: HOSTDATA or MRCONFIGID, its own digest, or nothing. Drop-ins lie in the guest and need none.',
    example: '"host_data"',
  },
  required: {
    ...common,
    key: 'required',
    type: boolean,
    default: true,
    purpose: 'Whether the agent refuses to start when no document came.',
    example: 'true',
  },
  dropInDir: {
    ...common,
    key: 'drop_in_dir',
    type: path,
    default: '/etc/kata-agent/conf.d',
    purpose: 'The folder whose *.toml files are drop-ins, in the order of their names.',
    example: '"/etc/kata-agent/conf.d"',
  },
};
