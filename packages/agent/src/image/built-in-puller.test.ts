import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GuestError } from '@kata-agent/guest';
import { RecordingSyscalls } from '@kata-agent/linux';
import { BuiltInPuller } from './built-in-puller.js';

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
    const syscalls = new RecordingSyscalls();
    const asked: string[] = [];
    const puller = new BuiltInPuller({
      syscalls,
      settings: {
        registries: [],
        requireDigest: false,
        registryCa: [],
        tokenHosts: {},
        mirrors: {},
        signatures: [],
        decryptionKeys: [],
        maxBytes: 1,
        ...settings,
      },
      credentials: () => {
        asked.push('credentials');
        return Promise.resolve([]);
      },
      decryptionKeys: () => {
        asked.push('decryption keys');
        return Promise.resolve([]);
      },
      timeoutMs: 1000,
      log: () => undefined,
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
