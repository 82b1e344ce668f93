import assert from 'node:assert/strict';
import { test } from 'node:test';
import { managementMethods } from './management.js';
import {
  guestVerbs,
  managementOf,
  operatorVerbs,
  operatorVerbTable,
  verbsThatOpen,
} from './operator-verbs.js';

test('a verb opens each method of management, and RevokePeer and WatchAudit are opened by one alone', () => {
  assert.deepEqual(managementOf(operatorVerbs), managementMethods);
  assert.deepEqual(verbsThatOpen('RevokePeer'), ['revoke']);
  assert.deepEqual(verbsThatOpen('WatchAudit'), ['audit']);
  assert.deepEqual(managementOf(['list']), []);
});

test('only connect opens methods of AgentService; list opens nothing in a guest', () => {
  assert.deepEqual(
    operatorVerbs.filter((verb) => operatorVerbTable[verb].opensAgent),
    ['connect'],
  );
  assert.deepEqual(guestVerbs, ['connect', 'audit', 'revoke']);
});
