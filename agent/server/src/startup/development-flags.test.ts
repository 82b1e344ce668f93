import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDevelopmentFlags } from './development-flags.js';

const measurement = { tpm: 'off', pcr: 8, checkpointPcr: 'off', rtmr: 'off' } as const;
const guest = { isFirstProcess: false, configuration: { measurement } };
const none = { stateDirectory: undefined, relaxedPermissions: false };

for (const [name, flags] of [
  ['--state-dir', { ...none, stateDirectory: '/tmp/state' }],
  ['--relaxed-permissions', { ...none, relaxedPermissions: true }],
] as const) {
  describe(name, () => {
    it('are accepted outside of a protected guest', () => {
      checkDevelopmentFlags(flags, guest);
    });

    it('are rejected by PID 1, and with any measurement', () => {
      assert.throws(() => checkDevelopmentFlags(flags, { ...guest, isFirstProcess: true }), {
        name: 'CannotApply',
        message: /not for PID 1/,
        help: `leave ${name} out`,
      });
      for (const one of [{ tpm: 'try' }, { tpm: 'require' }, { rtmr: 'try' }, { rtmr: 'require' }] as const) {
        const configuration = { measurement: { ...measurement, ...one } };
        assert.throws(
          () => checkDevelopmentFlags(flags, { ...guest, configuration }),
          /is measured \((tpm|rtmr) = /,
        );
        checkDevelopmentFlags(none, { isFirstProcess: true, configuration });
      }
    });
  });
}
