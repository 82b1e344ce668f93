import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeMedia } from '../testing/fake-media.js';
import { LocalAddresses } from './links.js';

test('an address gets its route once, and again after a failure', async () => {
  const kept: (readonly string[])[] = [];
  let failing = true;
  const addresses = new LocalAddresses(
    fakeMedia((_, args) => {
      kept.push((args as { readonly addresses: readonly string[] }).addresses);
      if (failing) throw new Error('no');
    }),
  );
  await assert.rejects(addresses.keep(['10.0.0.7']));
  failing = false;
  for (let container = 0; container < 3; container += 1) await addresses.keep(['10.0.0.7', 'fd00::7']);
  await addresses.keep(['10.0.0.8']);
  assert.deepEqual(kept, [['10.0.0.7'], ['10.0.0.7', 'fd00::7'], ['10.0.0.8']]);
});
