import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endpoints } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { isNotBuilt } from './not-built.js';
import { handlers } from './table.js';

describe('the table of handlers', () => {
  it('has a row for each method, built exactly where the catalogue says so', () => {
    for (const { name, localName } of AgentService.methods) {
      const handler = handlers[localName as keyof typeof handlers];
      const { built } = endpoints[name as keyof typeof endpoints];
      assert.equal(!isNotBuilt(handler), built, name);
    }
    assert.equal(Object.keys(handlers).length, AgentService.methods.length);
  });
});
