import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStderr, readStdout, waitProcess } from './processes.js';

test('reads and waits make a signal only if they have to wait', async () => {
  const process = {
    wait: () => Promise.resolve(7),
    streams: { read: () => Promise.resolve(Uint8Array.of(1)) },
  };
  const services = { guest: { process: () => process } } as never;
  const request = { containerId: 'c', execId: '', len: 10 } as never;
  const context = {
    get signal(): AbortSignal {
      return assert.fail('a signal was made');
    },
  } as never;
  assert.deepEqual(await waitProcess(services, request, context), { status: 7 });
  for (const read of [readStdout, readStderr])
    assert.deepEqual(await read(services, request, context), { data: Uint8Array.of(1) });
});
