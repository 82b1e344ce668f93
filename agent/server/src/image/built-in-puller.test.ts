import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GuestError } from '@kata-agent/guest';
import { RecordingSyscalls } from '@kata-agent/linux';
import { BuiltInPuller, type PullerOptions } from './built-in-puller.js';

const options: PullerOptions = {
  syscalls: new RecordingSyscalls(),
  settings: {
    registries: [],
    requireDigest: false,
    registryCa: [],
    tokenHosts: {},
    mirrors: {},
    signatures: [],
    decryptionKeys: [],
    maxBytes: 1,
  },
  credentials: () => Promise.resolve([]),
  decryptionKeys: () => Promise.resolve([]),
  timeoutMs: 1000,
  log: () => undefined,
};

for (const [reference, settings, expected] of [
  [
    'registry.example/team/app:1',
    { registries: [['other.example/**']] },
    /help: add .*\(registry-not-allowed\)$/,
  ],
  ['registry.example/team/app:1', { requireDigest: true }, /help: add @sha256:HEX .*\(digest-required\)$/],
  [
    'registry.example/team/app:1',
    { signatures: [{ entries: [], closed: true }] },
    /\(signature-scope-missing\)$/,
  ],
] as const)
  test(`${JSON.stringify(settings)} refuses ${reference} before the data hub is asked and a process is started`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    const asked: string[] = [];
    const puller = new BuiltInPuller({
      ...options,
      settings: { ...options.settings, ...settings },
      credentials: () => {
        asked.push('credentials');
        return Promise.resolve([]);
      },
      decryptionKeys: () => {
        asked.push('decryption keys');
        return Promise.resolve([]);
      },
    });
    try {
      await assert.rejects(
        puller.pull({ reference, container: 'c', directory, signal: new AbortController().signal }),
        (error) => {
          assert.ok(error instanceof GuestError, String(error));
          assert.equal(error.kind, 'refused');
          assert.match(error.message, expected);
          return true;
        },
      );
      assert.deepEqual(asked, []);
      // The process writes to a file system that is mounted first.
      assert.deepEqual(readdirSync(directory), []);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

/** A puller whose pulls wait for credentials until their calls end. */
function stuckPuller(timeoutMs: number): {
  readonly pull: (reference?: string) => { readonly result: Promise<unknown>; readonly cancel: () => void };
  readonly pulling: () => number;
} {
  let begun = 0;
  const puller = new BuiltInPuller({
    ...options,
    timeoutMs,
    credentials: (signal) => {
      begun += 1;
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    },
  });
  return {
    pulling: () => begun,
    pull: (reference = 'registry.example/app:1') => {
      const call = new AbortController();
      const request = { reference, container: 'c', directory: '/nonexistent', signal: call.signal };
      const result = puller.pull(request);
      result.catch(() => undefined);
      return { result, cancel: () => call.abort(new Error('the call was cancelled')) };
    },
  };
}

test('two images are pulled at once, 16 wait, and a further one is refused with the numbers', async () => {
  const { pull, pulling } = stuckPuller(60_000);
  const pulls = Array.from({ length: 18 }, () => pull());
  await turn();
  assert.equal(pulling(), 2);
  await assert.rejects(pull().result, (error) => {
    assert.ok(error instanceof GuestError, String(error));
    assert.equal(error.kind, 'exhausted');
    assert.match(error.message, /app:1" cannot be pulled: 2 images are being pulled, and 16 wait.*; help: /);
    return true;
  });
  // What the settings refuse waits for nothing.
  await assert.rejects(pull('upper/CASE:x').result, /\(reference-invalid\)/);
  pulls[17]?.cancel();
  await assert.rejects(pulls[17]?.result ?? Promise.resolve(), /the call was cancelled/);
  assert.equal(pulling(), 2);
  pulls[0]?.cancel();
  await assert.rejects(pulls[0]?.result ?? Promise.resolve(), /the call was cancelled/);
  await turn();
  assert.equal(pulling(), 3);
  for (const each of pulls) each.cancel();
});

test('the time of an image counts while it waits', async () => {
  const { pull, pulling } = stuckPuller(50);
  const [first, second, third] = [pull(), pull(), pull()];
  await assert.rejects(third.result, (error) => {
    assert.ok(error instanceof GuestError, String(error));
    assert.equal(error.kind, 'deadline');
    assert.match(error.message, /it took more than 0\.05 s \(image_pull_timeout\)$/);
    return true;
  });
  assert.equal(pulling(), 2);
  for (const each of [first, second]) each.cancel();
});
