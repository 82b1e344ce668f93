import { parseVerifier, TextFormError, WitnessVerifier } from '@kata-agent/tlog';
import type { EntryKey } from '../document/entry-key.js';
import { pemSource } from '../value-types/sources.js';
import { expected, read, type Reading, type ValueType } from '../value-types/value-type.js';
import { witnessVia } from '../value-types/addresses.js';

const what = 'the key of a witness for cosignatures, NAME+ID+BASE64 of C2SP signed-note with type 0x04';

/** The verifier key of a witness. */
const witnessKey: ValueType<string> = {
  name: 'NAME+ID+BASE64',
  schema: { type: 'string', pattern: '^[^+]+\\+[0-9a-f]{8}\\+.+$' },
  fromToml: (value) => (value.kind === 'string' ? witnessKey.fromText(value.value) : expected(what)),
  fromText(text): Reading<string> {
    try {
      if (parseVerifier(text) instanceof WitnessVerifier) return read(text);
      const found = "a log's key, of type 0x01";
      return { ok: false, expected: what, found, help: 'write the key that the witness cosigns with' };
    } catch (error) {
      if (!(error instanceof TextFormError)) throw error;
      return {
        ok: false,
        expected: what,
        found: 'another text',
        help: `copy the key from the operator of the witness: ${error.message}`,
      };
    }
  },
  write: (value) => JSON.stringify(value),
};

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
