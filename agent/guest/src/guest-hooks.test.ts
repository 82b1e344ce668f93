import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseHooks } from './guest-hooks.js';

test('hooks of all six kinds are refused; empty lists pass', () => {
  for (const kind of [
    'prestart',
    'createRuntime',
    'createContainer',
    'startContainer',
    'poststart',
    'poststop',
  ]) {
    const hooks = { [kind]: [{ path: '/bin/evil' }] };
    assert.throws(() => refuseHooks(hooks), { kind: 'refused', message: new RegExp(kind) });
  }
  refuseHooks(undefined);
  refuseHooks({});
  refuseHooks({ prestart: [] });
});
