import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GuestError } from '@kata-agent/guest';
import { RecordingSyscalls } from '@kata-agent/linux';
import { BuiltInPuller, type PullerOptions, PullQueue, type PullQueueLimits } from './built-in-puller.js';

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

/** A queue for two pulls at once and two that wait. */
class Queue {
  readonly begun: string[] = [];
  readonly #queue = new PullQueue({ atOnce: 2, waiting: 2 });
  readonly #ends = new Map<string, (error?: Error) => void>();

  readonly #work = (name: string) => (): Promise<string> => {
    this.begun.push(name);
    return new Promise((resolve, reject) => {
      this.#ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
    });
  };

  resume(name: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const result = this.#queue.resume(this.#work(name), signal);
    result.catch(() => undefined);
    return result;
  }

  run(name: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const refusal = ({ atOnce, waiting }: PullQueueLimits): Error => new Error(`${atOnce} and ${waiting}`);
    const result = this.#queue.run(this.#work(name), { signal, refusal });
    // Each test looks at the results that it is about.
    result.catch(() => undefined);
    return result;
  }

  async end(name: string, error?: Error): Promise<void> {
    this.#ends.get(name)?.(error);
    await turn();
  }
}

test('two pulls run at once, the next ones in the order of their calls, and a failure gives its place back, too', async () => {
  const queue = new Queue();
  const results = ['a', 'b', 'c', 'd'].map((name) => queue.run(name));
  await turn();
  assert.deepEqual(queue.begun, ['a', 'b']);
  await queue.end('b', new Error('failed'));
  assert.deepEqual(queue.begun, ['a', 'b', 'c']);
  // The place of one that ended is the next one's, whatever is called meanwhile.
  results.push(queue.run('e'));
  await queue.end('a');
  assert.deepEqual(queue.begun, ['a', 'b', 'c', 'd']);
  for (const name of ['c', 'd', 'e']) await queue.end(name);
  const ended = await Promise.allSettled(results);
  assert.deepEqual(
    ended.map((each) => (each.status === 'fulfilled' ? each.value : each.status)),
    ['a', 'rejected', 'c', 'd', 'e'],
  );
});

test('a pull beyond those that wait is refused, and not once there is a place again', async () => {
  const queue = new Queue();
  for (const name of ['a', 'b', 'c', 'd']) queue.run(name).catch(() => undefined);
  await assert.rejects(queue.run('e'), /^Error: 2 and 2$/);
  await queue.end('a');
  const late = queue.run('f');
  for (const name of ['b', 'c', 'd']) await queue.end(name);
  await queue.end('f');
  assert.equal(await late, 'f');
});

test('a pull that waits ends with its signal, and its place is free', async () => {
  const queue = new Queue();
  const controller = new AbortController();
  for (const name of ['a', 'b']) queue.run(name).catch(() => undefined);
  const waits = queue.run('c', controller.signal);
  queue.run('d').catch(() => undefined);
  controller.abort(new Error('the container was removed'));
  await assert.rejects(waits, /the container was removed/);
  queue.run('e').catch(() => undefined);
  await queue.end('a');
  await queue.end('b');
  assert.deepEqual(queue.begun, ['a', 'b', 'd', 'e']);
  await assert.rejects(queue.run('f', controller.signal), /the container was removed/);
  // A signal of a pull that runs is its own business.
  for (const name of ['d', 'e']) await queue.end(name);
  const running = new AbortController();
  const result = queue.run('g', running.signal);
  await turn();
  running.abort(new Error('too late'));
  await queue.end('g');
  assert.equal(await result, 'g');
});

test('a pull that had its turn continues before those that wait, and is not refused', async () => {
  const queue = new Queue();
  for (const name of ['a', 'b', 'c', 'd']) queue.run(name).catch(() => undefined);
  const controller = new AbortController();
  const aborted = queue.resume('x', controller.signal);
  const packed = queue.resume('a, packed');
  controller.abort(new Error('the container was removed'));
  await assert.rejects(aborted, /the container was removed/);
  await queue.end('a');
  assert.deepEqual(queue.begun, ['a', 'b', 'a, packed']);
  await queue.end('a, packed');
  assert.equal(await packed, 'a, packed');
  assert.deepEqual(queue.begun, ['a', 'b', 'a, packed', 'c']);
});
