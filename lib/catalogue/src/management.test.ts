import { Management } from '@kata-agent/protocol/management';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groups } from './groups.js';
import { isManagementMethod, managementMethods } from './management.js';
import { methodNames } from './methods.js';

test('the table has the methods of the service', () => {
  assert.deepEqual(
    managementMethods,
    Management.methods.map(({ name }) => name),
  );
  assert.ok(isManagementMethod('WatchAudit'));
  for (const other of ['watchAudit', 'toString', 'ExecProcess']) assert.ok(!isManagementMethod(other));
});

test('no management method has the name of a method of AgentService, or is in a group', () => {
  const served: ReadonlySet<string> = new Set([
    ...methodNames,
    ...[...groups.values()].flatMap(({ methods }) => methods),
  ]);
  for (const name of managementMethods) assert.ok(!served.has(name), name);
});
