import type { DeliverySettings } from '../delivery.js';
import { settableNames } from '../value-types/may-set.js';
import { boolean, oneOf } from '../value-types/scalars.js';
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
    purpose: 'The accepted delivery sources of further documents, in the order in which they are merged.',
    example: '["initdata"]',
  },
  bind: {
    ...common,
    key: 'bind',
    type: deliveryBinding,
    default: 'host_data',
    purpose:
      'What a delivered document is bound to: HOSTDATA or MRCONFIGID, a pinned digest, or nothing. Drop-ins are stored in the guest and need no binding.',
    example: '"host_data"',
  },
  required: {
    ...common,
    key: 'required',
    type: boolean,
    default: true,
    purpose: 'Whether the agent exits if no document is delivered.',
    example: 'true',
  },
  dropInDir: {
    ...common,
    key: 'drop_in_dir',
    type: path,
    default: '/etc/kata-agent/conf.d',
    purpose: 'The directory of the drop-ins: its *.toml files, in the order of their names.',
    example: '"/etc/kata-agent/conf.d"',
  },
  unusedInitdata: {
    ...common,
    key: 'unused_initdata',
    type: oneOf(['refuse', 'record']),
    default: 'refuse',
    purpose:
      'What happens if there is initdata that `accept` does not name, or whose `policy.rego` is not a plain list of defaults: the agent does not start, or it logs a warning, records it and ignores the policy or the device.',
    example: '"record"',
  },
  maySet: {
    ...common,
    key: 'may_set',
    type: settableNames,
    default: [],
    purpose:
      'Keys of listeners that this document leaves unset, and that a delivered document sets once: `address` (only `https://`), `tls.server_ca`, `tls.pins`; at `tls://`, and with `relay = "operator-tls"`, `peers`, `tls.client_ca`, `tls.client_crl`. The document must be bound to hardware or pinned.',
    example: '["listener.tenant.peers"]',
  },
};
