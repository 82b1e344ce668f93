import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { areas } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { handlers } from './table.js';

describe('the table of handlers', () => {
  it('has a row for each method', () => {
    for (const { name, localName } of AgentService.methods) {
      assert.equal(typeof handlers[localName as keyof typeof handlers], 'function', name);
    }
    assert.equal(Object.keys(handlers).length, AgentService.methods.length);
  });

  it('takes the handlers of each area of the catalogue from the module of that name', async () => {
    const order: string[] = [];
    for (const [area, methods] of Object.entries(areas)) {
      const module = (await import(`./${area}.js`)) as Readonly<Record<string, unknown>>;
      const local = AgentService.methods.filter(({ name }) => (methods as readonly string[]).includes(name));
      const names = local.map(({ localName }) => localName);
      for (const name of names) assert.equal(module[name], handlers[name as keyof typeof handlers], name);
      assert.deepEqual(new Set(Object.keys(module)), new Set(names), area);
      order.push(...names);
    }
    assert.equal(order.length, AgentService.methods.length);
  });
});
