import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tools } from '../tool/tools.js';
import { LocalAddresses } from './links.js';

test('an address gets its route once, and again after a failure', async () => {
  const batches: string[] = [];
  let status = 1;
  const tools: Tools = {
    run: (_tool, _args, input) => {
      batches.push(Buffer.from(input ?? []).toString());
      return Promise.resolve({ status, stdout: Buffer.alloc(0), stderr: '' });
    },
  };
  const addresses = new LocalAddresses(tools);
  await assert.rejects(addresses.keep(['10.0.0.7']));
  status = 0;
  for (let container = 0; container < 3; container += 1) await addresses.keep(['10.0.0.7', 'fd00::7']);
  await addresses.keep(['10.0.0.8']);
  assert.deepEqual(
    batches.map((text) => /local (\S+) dev/.exec(text)?.[1]),
    ['10.0.0.7', '10.0.0.7', 'fd00::7', '10.0.0.8'],
  );
});
