import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, methodNames } from '@kata-agent/catalogue';
import type { ListenerSettings } from '@kata-agent/config';
import { demandWitnesses } from './demand-witnesses.js';

const tls = { clientCa: '' } as NonNullable<ListenerSettings['tls']>;
const dial = { serverCa: '' } as NonNullable<ListenerSettings['dial']>;

test('changes are refused where the host calls; what reads or ends something is served', () => {
  const listeners = [{ name: 'host' }, { name: 'local' }, { name: 'tenant', tls }, { name: 'realm', dial }];
  const lacks = demandWitnesses(listeners, { isOverdue: () => true });
  for (const method of methodNames) {
    const { changes, ends = false } = endpoints[method];
    for (const { name } of listeners)
      assert.equal(
        lacks(name, method),
        changes && !ends && ['host', 'local'].includes(name),
        `${name} ${method}`,
      );
  }
  for (const method of ['CreateContainer', 'ExecProcess', 'SetPolicy', 'WriteStdin'] as const)
    assert.ok(lacks('host', method), method);
  for (const method of ['SignalProcess', 'RemoveContainer', 'DestroySandbox', 'ReadStdout'] as const)
    assert.ok(!lacks('host', method), method);
});

test('the first listener is that of the host, whatever its address', () => {
  const lacks = demandWitnesses([{ name: 'host', tls }], { isOverdue: () => true });
  assert.ok(lacks('host', 'CreateContainer'));
});

test('nothing is refused while the witnesses are there, or without any', () => {
  assert.ok(!demandWitnesses([{ name: 'host' }], { isOverdue: () => false })('host', 'CreateContainer'));
  assert.ok(!demandWitnesses([{ name: 'host' }], undefined)('host', 'CreateContainer'));
});
