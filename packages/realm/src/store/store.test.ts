import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { followLines, openAuditLog } from '@kata-agent/audit';
import { Store, type StoreOptions } from './store.js';

const idOf = (n: number): string => n.toString(16).padStart(64, 'a');

async function setUp(
  t: Pick<TestContext, 'after'>,
): Promise<{ readonly directory: string; open: (change?: Partial<StoreOptions>) => Promise<Store> }> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-store-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const open = (change: Partial<StoreOptions> = {}): Promise<Store> =>
    Store.open({
      directory: join(directory, 'store'),
      tryLock: () => true,
      bootId: 'boot',
      maxBytes: 1 << 28,
      onFault: () => undefined,
      onWritten: () => undefined,
      ...change,
    });
  return { directory, open };
}

/** Lines of a real log. */
async function linesOf(directory: string, name: string): Promise<readonly Buffer[]> {
  const file = join(directory, name);
  const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 1, bootId: name });
  await log.boot({});
  await log.close();
  const over = new AbortController();
  const lines: Buffer[] = [];
  for await (const group of followLines(file, { from: 1, signal: over.signal, intervalMs: 5 })) {
    lines.push(...group.map((line) => Buffer.from(line)));
    over.abort();
  }
  return lines;
}

/** A guest that connects, sends its log and leaves. */
async function visit(store: Store, n: number, lines: readonly Buffer[]): Promise<void> {
  const id = idOf(n);
  const connectedAt = new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();
  const logs = store.guest(id);
  await logs.describe({ id, name: `guest-${n}`, entry: 'x', from: '127.0.0.1', connectedAt });
  await logs.begin();
  assert.equal(await logs.take(lines), 'more');
  await logs.close();
  store.leave(id);
}

async function readAll(store: Store, id: string): Promise<number> {
  let count = 0;
  for await (const lines of store.read(id, { signal: new AbortController().signal })) count += lines.length;
  return count;
}

test('guests that are away are forgotten beyond a number, and read from the store when they are asked for', async (t) => {
  const { directory, open } = await setUp(t);
  const store = await open({ mostAway: 3 });
  const lines = await linesOf(directory, 'one');
  for (let n = 0; n < 8; n += 1) await visit(store, n, lines);
  assert.equal((await store.find('guest-7'))?.id, idOf(7));
  assert.equal((await store.find(idOf(7).slice(0, 63)))?.id, undefined, 'a prefix of several');
  assert.equal(await store.find('guest-1'), undefined, 'it is forgotten');
  assert.equal(store.logOf(idOf(1), false), undefined);
  assert.equal((await store.find(idOf(1)))?.name, 'guest-1', 'by its whole ID it is found');
  assert.deepEqual(store.logOf(idOf(1), false), {
    state: 'verified',
    records: lines.length,
    lastSequence: lines.length,
  });
  assert.equal(await readAll(store, idOf(1)), lines.length);
  assert.equal(await store.find(idOf(99)), undefined);
  // It continues where it was.
  const again = store.guest(idOf(0));
  assert.equal(await again.begin(), lines.length);
  await again.close();
  store.leave(idOf(0));
  await store.close();
});

test('after a restart those that were there last are known, and their state while they connect', async (t) => {
  const { directory, open } = await setUp(t);
  const before = await open();
  const lines = await linesOf(directory, 'one');
  for (let n = 0; n < 5; n += 1) await visit(before, n, lines);
  await before.close();
  for (let n = 0; n < 5; n += 1) utimesSync(join(directory, 'store', 'guests', idOf(n)), n, 1_000 - n);
  const store = await open({ mostAway: 2 });
  assert.deepEqual(await Promise.all([0, 1, 2, 3].map(async (n) => (await store.find(`guest-${n}`))?.name)), [
    'guest-0',
    'guest-1',
    undefined,
    undefined,
  ]);
  store.guest(idOf(0));
  assert.equal(store.logOf(idOf(0), true)?.state, 'verified');
  assert.equal(await readAll(store, idOf(0)), lines.length);
  await store.close();
});

test('the logs of a guest are one object while anybody uses them', async (t) => {
  const { open } = await setUp(t);
  const store = await open();
  const first = store.guest(idOf(1));
  assert.equal(store.guest(idOf(1)), first);
  store.leave(idOf(1));
  assert.equal(store.guest(idOf(1)), first);
  store.leave(idOf(1));
  store.leave(idOf(1));
  assert.notEqual(store.guest(idOf(1)), first);
  await store.close();
});
