import assert from 'node:assert/strict';
import { it } from 'node:test';
import { sideChannelAddress } from './side-channels.js';

it('a side channel has an address next to the API', () => {
  assert.equal(sideChannelAddress('vsock://-1:1024', 1026), 'vsock://-1:1026');
  assert.equal(sideChannelAddress('vsock://3:1024', 1026), 'vsock://3:1026');
  assert.equal(sideChannelAddress('unix:///run/agent.sock', 1026), 'unix:///run/agent.sock_1026');
  assert.equal(sideChannelAddress('unix://@agent', 1026), 'unix://@agent_1026');
});
