import type { EntryKey } from '../document/entry-key.js';
import { pemSource } from '../value-types/pem-source.js';
import { witnessKey } from '../value-types/witness-key.js';
import { witnessVia } from '../value-types/witness-via.js';

/** The keys of `[[audit.witness]]` as written. */
export interface WitnessKeys {
  readonly key: string;
  readonly via: string;
  readonly ca: string;
}

const common = { table: 'audit.witness', later: false, built: 'yes' } as const;

/** The rows of `[[audit.witness]]`. */
export const witnessKeys: { readonly [P in keyof WitnessKeys]: EntryKey<WitnessKeys[P]> } = {
  key: {
    ...common,
    key: 'key',
    type: witnessKey,
    required: true,
    purpose: 'The key that the witness cosigns with; each key and each name once.',
    example: '"realm.example/w1+366f6b1e+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"',
    otherwise: 'it is required',
  },
  via: {
    ...common,
    key: 'via',
    type: witnessVia,
    required: true,
    purpose:
      'Where the witness is asked (C2SP tlog-witness, add-checkpoint): below the https:// address of a listener, by its name, with its CA, pins and proxy and the certificate of the agent; or below another https:// address.',
    example: '"realm"',
    otherwise: 'it is required',
  },
  ca: {
    ...common,
    key: 'ca',
    type: pemSource,
    required: false,
    purpose: 'The CA of the server at an https:// address: a file, which is measured, or PEM text.',
    example: '"/etc/kata-agent/witness-ca.pem"',
    otherwise: 'required at https://; that of the listener otherwise',
  },
};
