import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openAuditLog, systemFiles, verify } from '@kata-agent/audit';
import * as fc from 'fast-check';
import { Semaphore } from '@kata-agent/base';
import type { LogFault } from './log-storage.js';
import { DirectoryLogStorage, type DirectoryLogStorageOptions } from './log-directory.js';
import { GuestLogs, type GuestLogsOptions } from './guest-logs.js';
import { StoreSpace } from './store-space.js';

const anySpace = new StoreSpace({
  max: 2 ** 40,
  measure: async () => 0,
  free: async () => 2 ** 40,
  everyMs: 0,
  onChange: () => undefined,
});

const id = 'a1'.repeat(32);

type Change = Partial<GuestLogsOptions & DirectoryLogStorageOptions>;

interface Setup {
  readonly logs: GuestLogs;
  readonly faults: LogFault[];
  /** The store again, as after a crash. */
  readonly again: (change?: Change) => GuestLogs;
  readonly directory: string;
  readonly files: () => readonly string[];
}

function setUp(t: Pick<TestContext, 'after'>, change: Change = {}): Setup {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-logs-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const faults: LogFault[] = [];
  const again = (more: Change = {}): GuestLogs =>
    new GuestLogs(id, {
      storage: new DirectoryLogStorage(id, {
        directory,
        files: systemFiles(),
        slots: new Semaphore(2),
        space: anySpace,
        ...change,
        ...more,
      }),
      maxBytes: 1 << 28,
      onFault: (_id, fault) => faults.push(fault),
      onWritten: () => undefined,
      ...change,
      ...more,
    });
  const own = join(directory, id);
  const files = (): readonly string[] =>
    readdirSync(own)
      .filter((name) => name.endsWith('.log'))
      .map((name) => join(own, name));
  return { logs: again(), faults, again, directory: own, files };
}

/** Lines of a real log. */
async function linesOf(
  t: Pick<TestContext, 'after'>,
  count: number,
  { pin = `spki:sha256:${id}`, maxSize = 1 << 20 }: { pin?: string; maxSize?: number } = {},
): Promise<readonly Buffer[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-source-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'audit.log');
  const log = await openAuditLog({ file, maxSize, keep: 100, bootId: 'boot' });
  await log.boot({ tls: { pin } });
  const method = 'ExecProcess';
  const call = { listener: 'host', peer: 'cid 2', method, payload: Buffer.from('x') };
  const decision = { outcome: 'allow', method, listener: 'host', reason: 'listed' } as const;
  for (let n = 0; n < count; n += 1) await log.intent(call, decision);
  await log.close();
  const names = readdirSync(directory).filter((name) => /^audit\.log(\.\d+)?$/.test(name));
  const order = (name: string): number => -Number(name.split('.')[2] ?? 0);
  return names
    .sort((a, b) => order(a) - order(b))
    .flatMap((name) =>
      readFileSync(join(directory, name), 'latin1')
        .split('\n')
        .filter((line) => line !== ''),
    )
    .map((line) => Buffer.from(line, 'latin1'));
}

/** A record with another body, and a hash that fits. */
function rehashed(line: Buffer, change: (body: string) => string): Buffer {
  const text = line.toString('latin1');
  const body = change(text.slice(0, text.lastIndexOf(',"hash":')));
  return Buffer.from(
    `${body},"hash":"${createHash('sha256').update(`\0${body}}`).digest('hex')}"}`,
    'latin1',
  );
}

const textOf = (lines: readonly Buffer[]): string =>
  lines.map((line) => `${line.toString('latin1')}\n`).join('');

test('stores exactly what arrives, across segments, and the file verifies', async (t) => {
  const lines = await linesOf(t, 40, { maxSize: 4_000 });
  assert.ok(lines.some((line) => line.includes('"kind":"rotated"')));
  const { logs, files, faults } = setUp(t);
  assert.deepEqual(logs.log, { state: 'none', records: 0, lastSequence: 0 });
  assert.equal(await logs.begin(), 1);
  assert.equal(await logs.take(lines.slice(0, 10)), 'more');
  assert.equal(await logs.take(lines.slice(10)), 'more');
  assert.deepEqual(logs.log, { state: 'verified', records: lines.length, lastSequence: lines.length });
  await logs.close();
  const [file, ...others] = files();
  assert.deepEqual(others, []);
  assert.equal(readFileSync(file ?? '', 'latin1'), textOf(lines));
  assert.deepEqual((await verify(file ?? '')).problems, []);
  assert.deepEqual(faults, []);
  assert.equal(statSync(file ?? '').mode & 0o777, 0o600);
  assert.deepEqual(logs.log, { state: 'verified', records: lines.length, lastSequence: lines.length });
});

test('a record without the members of its kind is not stored, and no failure of the store', async (t) => {
  const [boot = Buffer.alloc(0)] = await linesOf(t, 0);
  const without = rehashed(boot, (body) => body.replace(/,"facts":.*$/, ''));
  const { logs, faults } = setUp(t);
  await logs.begin();
  assert.equal(await logs.take([without]), 'stop');
  assert.equal(logs.log.state, 'broken');
  assert.match(faults[0]?.what ?? '', /the content is not a known record/);
  await logs.close();
});

test('resumes after any crash from the last complete line: nothing is lost or doubled', async (t) => {
  const lines = await linesOf(t, 12);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ take: fc.integer({ min: 0, max: 5 }), cut: fc.integer({ min: 0, max: 900 }) }), {
        minLength: 1,
        maxLength: 5,
      }),
      async (crashes) => {
        const { again, files, directory, faults } = setUp(t);
        for (const { take, cut } of crashes) {
          const logs = again();
          const from = await logs.begin();
          assert.equal(await logs.take(lines.slice(from - 1, from - 1 + take)), 'more');
          // A crash: the file is not closed in order, and its end is lost.
          const [file] = take === 0 && from === 1 ? [] : files();
          await logs.close();
          if (file !== undefined) truncateSync(file, Math.max(0, statSync(file).size - cut));
        }
        const logs = again();
        const from = await logs.begin();
        await logs.take(lines.slice(from - 1));
        assert.deepEqual(logs.log, { state: 'verified', records: lines.length, lastSequence: lines.length });
        await logs.close();
        assert.equal(files().length, 1, readdirSync(directory).join());
        assert.equal(readFileSync(files()[0] ?? '', 'latin1'), textOf(lines));
        assert.deepEqual(faults, []);
      },
    ),
    { numRuns: 25 },
  );
});

test('a line that is not a record, or that does not follow, is not stored, and ends the collection', async (t) => {
  const lines = await linesOf(t, 6);
  const [first, second, third, fourth] = lines;
  assert.ok(first && second && third && fourth);
  for (const [what, bad, expectedText] of [
    [
      'changed',
      Buffer.from(third.toString().replace('ExecProcess', 'ExecProcesS')),
      /its hash does not match/,
    ],
    [
      'forged',
      rehashed(third, (body) =>
        body.replace(/"prev":"(.)/, (_, digit) => `"prev":"${digit === 'f' ? '0' : 'f'}`),
      ),
      /does not contain the hash/,
    ],
    ['repeated', second, /out of order or repeated/],
    [
      'with a newline',
      rehashed(third, (body) => body.replace('"kind"', '\n"kind"')),
      /not written as records/,
    ],
    ['too long', Buffer.alloc(300_000, 'x'), /a line has 300000 bytes/],
    ['empty', Buffer.alloc(0), /does not end in a hash/],
  ] as const) {
    const { logs, faults, files, again, directory } = setUp(t);
    await logs.begin();
    assert.equal(await logs.take([first, second, bad, third]), 'stop', what);
    assert.equal(logs.log.state, 'broken', what);
    assert.equal(logs.log.records, 2);
    assert.match(faults[0]?.what ?? '', expectedText);
    await logs.close();
    assert.equal(readFileSync(files()[0] ?? '', 'latin1'), textOf([first, second]));
    assert.match(readFileSync(join(directory, 'notes'), 'utf8'), /"kind":"broken"/);
    // The state stays, and what follows is stored.
    const next = again();
    assert.equal(await next.begin(), 2);
    assert.equal(await next.take([second, third, fourth]), 'more');
    assert.deepEqual(next.log, { state: 'broken', records: 4, lastSequence: 4 });
    await next.close();
  }
});

test('records before the first and in between that are missing are a gap; the rest is stored', async (t) => {
  const lines = await linesOf(t, 9);
  const { logs, faults, again, files } = setUp(t);
  await logs.begin();
  await logs.take([...lines.slice(2, 4), ...lines.slice(6)]);
  assert.deepEqual(logs.log, { state: 'gap', records: 6, lastSequence: 10 });
  assert.deepEqual(
    faults.map(({ sequence, missing }) => [sequence, missing]),
    [
      [3, 2],
      [7, 2],
    ],
  );
  await logs.close();
  const later = again();
  await later.load();
  assert.deepEqual(later.log, { state: 'gap', records: 6, lastSequence: 10 });
  const { ok, problems } = await verify(files()[0] ?? '');
  assert.ok(!ok && problems.some(({ what }) => /2 records before it are missing/.test(what)));
});

test('after rotation has removed the last stored record, what follows is stored', async (t) => {
  const lines = await linesOf(t, 9);
  const { logs, faults, again } = setUp(t);
  await logs.begin();
  await logs.take(lines.slice(0, 4));
  await logs.close();
  const next = again();
  assert.equal(await next.begin(), 4);
  assert.equal(await next.take(lines.slice(4, 6)), 'more');
  assert.equal(next.log.state, 'verified');
  await next.close();
  const later = again();
  await later.begin();
  assert.equal(await later.take(lines.slice(8)), 'more');
  assert.deepEqual(later.log, { state: 'gap', records: 8, lastSequence: 10 });
  assert.equal(faults.length, 1);
  await later.close();
});

test('another log of the same guest has a file of its own, and is an alert', async (t) => {
  const lines = await linesOf(t, 5);
  const others = await linesOf(t, 7);
  const { logs, faults, again, files } = setUp(t);
  await logs.begin();
  await logs.take(lines);
  await logs.close();
  const next = again();
  assert.equal(await next.begin(), 6);
  assert.equal(await next.take(others.slice(5)), 'again');
  assert.equal(await next.begin(), 1);
  assert.equal(await next.take(others), 'more');
  assert.deepEqual(next.log, { state: 'second-log', records: others.length, lastSequence: others.length });
  assert.deepEqual(
    faults.map(({ kind }) => kind),
    ['second-log'],
  );
  await next.close();
  assert.deepEqual(
    files()
      .map((file) => readFileSync(file, 'latin1'))
      .sort(),
    [textOf(lines), textOf(others)].sort(),
  );
  // Back to the first log: it is continued, not overwritten.
  const last = again();
  assert.equal(await last.begin(), others.length);
  assert.equal(await last.take(lines.slice(5)), 'again');
  assert.equal(await last.begin(), 1);
  assert.equal(await last.take(lines), 'again');
  assert.equal(await last.begin(), lines.length);
  assert.equal(await last.take(lines.slice(5)), 'more');
  assert.equal(last.log.records, lines.length);
  assert.equal(files().length, 2);
  await last.close();
});

test('a shorter log of the same begin is an alert when its records do not arrive', async (t) => {
  const lines = await linesOf(t, 5);
  const { logs, faults } = setUp(t);
  await logs.begin();
  await logs.take(lines);
  await logs.begin();
  assert.ok(logs.awaitsOverlap);
  await logs.noteWithheld();
  assert.match(faults[0]?.what ?? '', /record 6, which is stored, is not sent again/);
  assert.equal(logs.log.state, 'broken');
  await logs.close();
});

test('a log of another key than evidence binds is an alert', async (t) => {
  const lines = await linesOf(t, 3);
  const key = /"logKey":"([^"]+)"/.exec(textOf(lines))?.[1];
  for (const [attested, state] of [
    [key, 'verified'],
    ['kata-agent/other+0a1b2c3d+AQ==', 'second-log'],
  ] as const) {
    const { logs, faults } = setUp(t);
    logs.attestedKey = attested;
    await logs.begin();
    await logs.take(lines);
    assert.equal(logs.log.state, state);
    if (state === 'second-log')
      assert.match(
        faults[0]?.what ?? '',
        /record 1 names the log key .*, and the guest's evidence kata-agent\/other/,
      );
    await logs.close();
  }
});

test('a second boot under the same key is an alert, also after a restart', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-source-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'audit.log');
  for (const pin of [`spki:sha256:${'0'.repeat(64)}`, `spki:sha256:${id}`, `spki:sha256:${'f'.repeat(64)}`]) {
    const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 1, bootId: 'boot' });
    await log.boot({ tls: { pin } });
    await log.close();
  }
  const lines = readFileSync(file, 'latin1')
    .trimEnd()
    .split('\n')
    .map((line) => Buffer.from(line));
  const { logs, faults, again } = setUp(t);
  await logs.begin();
  await logs.take(lines.slice(0, 2));
  // Boots before that of the key are in a log that is kept on a disk.
  assert.equal(logs.log.state, 'verified');
  await logs.close();
  const next = again();
  await next.begin();
  await next.take(lines.slice(1));
  assert.deepEqual(next.log, { state: 'second-log', records: 3, lastSequence: 3 });
  assert.match(faults[0]?.what ?? '', /record 3 is of a second boot/);
  await next.close();
});

test('a guest has no more bytes than it may; nothing is deleted', async (t) => {
  const lines = await linesOf(t, 30);
  const { logs, again, files } = setUp(t, { maxBytes: 4_000 });
  await logs.begin();
  assert.equal(await logs.take(lines), 'stop');
  assert.equal(logs.log.state, 'full');
  const stored = logs.log.records;
  assert.ok(stored > 3 && stored < 12);
  await logs.close();
  assert.ok(statSync(files()[0] ?? '').size <= 4_000);
  const larger = again({ maxBytes: 1 << 20 });
  const from = await larger.begin();
  assert.equal(await larger.take(lines.slice(from - 1)), 'more');
  assert.deepEqual(larger.log, { state: 'verified', records: lines.length, lastSequence: lines.length });
  await larger.close();
});

test('a write that fails leaves no half record, and is made again', async (t) => {
  const lines = await linesOf(t, 6);
  const files = systemFiles();
  let failing = false;
  const { logs, files: stored } = setUp(t, {
    files: {
      ...files,
      append: async (path, options) => {
        const file = await files.append(path, options);
        return {
          ...file,
          write: async (bytes) => {
            if (!failing) return await file.write(bytes);
            await file.write(bytes.subarray(0, bytes.length / 2));
            throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
          },
        };
      },
    },
  });
  await logs.begin();
  await logs.take(lines.slice(0, 3));
  failing = true;
  await assert.rejects(logs.take(lines.slice(3)), /ENOSPC/);
  assert.equal(readFileSync(stored()[0] ?? '', 'latin1'), textOf(lines.slice(0, 3)));
  failing = false;
  assert.equal(await logs.begin(), 3);
  await logs.take(lines.slice(2));
  assert.equal(logs.log.state, 'verified');
  await logs.close();
  assert.equal(readFileSync(stored()[0] ?? '', 'latin1'), textOf(lines));
});

test('a file that something else has changed is not continued', async (t) => {
  const lines = await linesOf(t, 4);
  const { logs, again, files } = setUp(t);
  await logs.begin();
  await logs.take(lines);
  await logs.close();
  appendFileSync(files()[0] ?? '', 'something\n');
  await assert.rejects(again().begin(), /cannot be continued: not a record.*|move it away/);
});

test('an ID is no path', () => {
  const options = {} as unknown as GuestLogsOptions;
  for (const wrong of ['', '..', 'A'.repeat(64), `${'a'.repeat(63)}/`, 'a'.repeat(65)])
    assert.throws(() => new GuestLogs(wrong, options), /is not the ID of a guest/);
});
