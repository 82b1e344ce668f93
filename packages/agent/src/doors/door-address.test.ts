import assert from 'node:assert/strict';
import { it } from 'node:test';
import { doorAddress } from './door-address.js';

it('a door is beside the API', () => {
  assert.equal(doorAddress('vsock://-1:1024', 1026), 'vsock://-1:1026');
  assert.equal(doorAddress('vsock://3:1024', 1026), 'vsock://3:1026');
  assert.equal(doorAddress('unix:///run/agent.sock', 1026), 'unix:///run/agent.sock_1026');
  assert.equal(doorAddress('unix://@agent', 1026), 'unix://@agent_1026');
});
