import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openAuditLog, systemFiles } from '@kata-agent/audit';
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
      space: { max: 2 ** 40, everyMs: 0, onChange: () => undefined },
      onFault: () => undefined,
      onWritten: () => undefined,
      ...change,
    });
  return { directory, open };
}

/** Lines of a real log. */
async function linesOf(directory: string, name: string, count = 0): Promise<readonly Buffer[]> {
  const file = join(directory, name);
  const log = await openAuditLog({ file, maxSize: 1 << 24, keep: 1, bootId: name });
  await log.boot({});
  const method = 'ExecProcess';
  const call = { listener: 'host', peer: 'cid 2', method, payload: Buffer.from('x') };
  const decision = { outcome: 'allow', method, listener: 'host', reason: 'listed' } as const;
  for (let n = 0; n < count; n += 1) await log.intent(call, decision);
  await log.close();
  return readFileSync(file, 'latin1')
    .split('\n')
    .slice(0, -1)
    .map((line) => Buffer.from(line, 'latin1'));
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

/** Lines of records that fill a store: the first few fit. */
const describedAs = (n: number) => ({
  id: idOf(n),
  name: `guest-${n}`,
  entry: 'x',
  from: '127.0.0.1',
  connectedAt: new Date(0).toISOString(),
});

test('a full store takes no records and no guests, removes none, and continues when there is room', async (t) => {
  const { directory, open } = await setUp(t);
  const lines = await linesOf(directory, 'one', 1_200);
  const all = lines.reduce((sum, line) => sum + line.length + 1, 0);
  const changes: (string | undefined)[] = [];
  const max = 400_000;
  assert.ok(all > max && all < 2 * max, String(all));
  const store = await open({
    space: { max, everyMs: 0, onChange: (why) => changes.push(why) },
  });
  await visit(store, 0, lines.slice(0, 300));
  const logs = store.guest(idOf(1));
  await logs.describe(describedAs(1));
  await logs.begin();
  await assert.rejects(
    logs.take(lines),
    /^StoreError: the logs of all guests have \d+ bytes, and --store-max is 400000$/,
  );
  assert.ok(store.space.isFull && store.space.used <= max);
  assert.equal(changes.length, 1);
  const stored = logs.log.records;
  assert.ok(stored > 0 && stored < lines.length, String(stored));
  await assert.rejects(logs.begin(), /--store-max/);
  await assert.rejects(store.guest(idOf(2)).describe(describedAs(2)), /--store-max/);
  assert.deepEqual(readdirSync(join(directory, 'store', 'guests')).length, 2, 'no new guest');
  // Its faults are noted all the same.
  await logs.noteWithheld();
  assert.equal(await readAll(store, idOf(0)), 300);
  await store.sync();
  assert.equal(store.space.isFull, true);
  rmSync(join(directory, 'store', 'guests', idOf(0)), { recursive: true });
  await store.sync();
  assert.deepEqual([store.space.isFull, changes.length, changes[1]], [false, 2, undefined]);
  assert.equal(await logs.begin(), stored);
  const rest = lines.slice(stored - 1, stored + 100);
  assert.equal(await logs.take(rest), 'more');
  assert.equal(logs.log.lastSequence, stored + 100);
  await store.close();
  // Also after a restart with less.
  const less = await open({ space: { max: 10_000, everyMs: 0, onChange: (why) => changes.push(why) } });
  assert.equal(less.space.isFull, true);
  assert.equal(await readAll(less, idOf(1)), stored + 100);
  await less.close();
});

for (const [code, free] of [
  ['ENOSPC', true],
  ['EDQUOT', false],
] as const)
  test(`${code} is a full store too, until ${free ? 'there is space' : 'a write succeeds'}`, async (t) => {
    const { directory, open } = await setUp(t);
    const lines = await linesOf(directory, 'one', 3);
    const files = systemFiles();
    let failing = true;
    const changes: (string | undefined)[] = [];
    const store = await open({
      space: { max: 2 ** 40, everyMs: 0, onChange: (why) => changes.push(why) },
      files: {
        ...files,
        append: async (path, options) => {
          const file = await files.append(path, options);
          const write: typeof file.write = async (bytes) => {
            if (!failing) return await file.write(bytes);
            throw Object.assign(new Error(`${code}: no space`), { code });
          };
          return { ...file, write };
        },
      },
    });
    const logs = store.guest(idOf(1));
    await logs.describe(describedAs(1));
    await logs.begin();
    await assert.rejects(logs.take(lines), new RegExp(code));
    assert.equal(store.space.isFull, true);
    await store.sync();
    // The file system of this test has space.
    assert.equal(store.space.isFull, !free);
    failing = false;
    await logs.begin();
    assert.equal(await logs.take(lines), 'more');
    await store.sync();
    assert.deepEqual([store.space.isFull, changes], [false, [`${code}: no space`, undefined]]);
    await store.close();
  });

test('guests that are away are forgotten beyond a number, and read from the store when they are asked for', async (t) => {
  const { directory, open } = await setUp(t);
  const store = await open({ maxAway: 3 });
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
  const store = await open({ maxAway: 2 });
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
