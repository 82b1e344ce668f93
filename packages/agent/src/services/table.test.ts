import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { handlers } from './table.js';

describe('the table of handlers', () => {
  it('has a row for each method', () => {
    for (const { name, localName } of AgentService.methods) {
      assert.equal(typeof handlers[localName as keyof typeof handlers], 'function', name);
    }
    assert.equal(Object.keys(handlers).length, AgentService.methods.length);
  });
});
