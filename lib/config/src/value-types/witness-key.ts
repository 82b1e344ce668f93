import { parseVerifier, TextFormError, WitnessVerifier } from '@kata-agent/tlog';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const what = 'the key of a witness for cosignatures, NAME+ID+BASE64 of C2SP signed-note with type 0x04';

/** The verifier key of a witness. */
export const witnessKey: ValueType<string> = {
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
