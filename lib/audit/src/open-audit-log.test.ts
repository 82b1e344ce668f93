import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AuditUnavailable } from './audit-log.js';
import { createDigest, openAuditLog } from './open-audit-log.js';
import { FakeClock } from './testing/fake-clock.js';
import { FaultyFiles } from './testing/faulty-files.js';
import { allowed, denied, first, ok, only, openSample, recordsOf, sampleCall } from './testing/sample.js';
import { verify } from './read/verify.js';

test('a boot, an intent with its outcome, a call and a denial match FORMAT.md', async (t) => {
  const key = Buffer.alloc(32, 1);
  const { log, file } = await openSample(t, { key });
  const call = sampleCall({ subject: { containerId: 'c1', execId: 'e1', argv0: '/bin/ls' } });
  await log.boot({ version: '0.1.0' });
  const intent = await log.intent(call, { ...allowed, rule: 'known-commands' });
  assert.equal(intent, 2);
  log.outcome(intent, call, { code: 'NOT_FOUND', message: 'no such container', durationUs: 9, bytes: 4 });
  log.observe(sampleCall({ method: 'GetGuestDetails' }), allowed, ok);
  log.refuse(sampleCall({ method: 'CopyFile' }), denied);
  await log.close();

  const records = recordsOf(file);
  assert.deepEqual(
    records.map(({ sequence, kind, boot }) => [sequence, kind, boot]),
    [
      [1, 'boot', 'boot-1'],
      [2, 'intent', 'boot-1'],
      [3, 'outcome', 'boot-1'],
      [4, 'call', 'boot-1'],
      [5, 'refusal', 'boot-1'],
    ],
  );
  const { prev: _p, hash: _h, monotonic, wall, ...written } = first(only(records, 'intent'));
  assert.deepEqual(written, {
    sequence: 2,
    boot: 'boot-1',
    kind: 'intent',
    listener: 'host',
    peer: 'cid 2',
    method: 'ExecProcess',
    decision: { outcome: 'allow', rule: 'known-commands', reason: allowed.reason },
    digest: createDigest(key)(Buffer.from('request')),
    subject: { containerId: 'c1', execId: 'e1', argv0: '/bin/ls' },
  });
  assert.equal(wall, new Date(1_700_000_000_000).toISOString());
  assert.equal(monotonic, 1_700_000_000_000 * 1e6);
  const outcome = first(only(records, 'outcome'));
  assert.equal(outcome.intent, 2);
  assert.deepEqual(outcome.result, {
    code: 'NOT_FOUND',
    message: 'no such container',
    durationUs: 9,
    bytes: 4,
  });
  assert.equal((await verify(file)).ok, true);
});

test('only the listed members of a subject and the digest of a request are written', async (t) => {
  const { log, file } = await openSample(t);
  const subject = {
    containerId: 'c',
    argv0: '/bin/sh',
    arguments: ['-c', 'hunter2'],
    env: { KEY: 'hunter2' },
  };
  const call = sampleCall({ payload: Buffer.from('PASSWORD=hunter2'), subject });
  const talkative = Object.assign({}, allowed, ok, { stdin: 'hunter2', env: 'hunter2' });
  log.outcome(await log.intent(call, talkative), call, talkative);
  log.observe({ ...call, method: 'A' }, talkative, talkative);
  log.observe({ ...call, method: 'A', fold: 'a' }, talkative, talkative);
  log.observe({ ...call, method: 'A', fold: 'a' }, talkative, talkative);
  log.refuse({ ...call, method: 'B' }, denied);
  await log.close();
  assert.equal(readFileSync(file, 'latin1').includes('hunter2'), false);
});

test('strings from outside are truncated', async (t) => {
  const { log, file } = await openSample(t);
  const long = 'x'.repeat(100_000);
  const subject = { containerId: long, execId: long, argv0: long };
  const call = sampleCall({ listener: long, peer: long, method: long, subject });
  log.outcome(await log.intent(call, { ...allowed, reason: long, rule: long }), call, {
    code: long,
    message: long,
    durationUs: 1,
  });
  await log.close();
  for (const line of readFileSync(file, 'latin1').split('\n')) assert.ok(line.length < 4096);
  assert.equal(first(only(recordsOf(file), 'intent')).method, `${'x'.repeat(122)}…`);
});

test('concurrent intents share one write and one fdatasync, and get their own numbers', async (t) => {
  const files = new FaultyFiles();
  const { log } = await openSample(t, { files });
  const together = Array.from({ length: 100 }, () => log.intent(sampleCall(), allowed));
  const numbers = await Promise.all(together);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
  assert.equal(files.count('datasync'), 1);
  assert.equal(files.count('write'), 1);
  await log.intent(sampleCall(), allowed);
  assert.equal(files.count('datasync'), 2);
});

test('an intent resolves after its fdatasync, never before', async (t) => {
  const files = new FaultyFiles();
  const { log } = await openSample(t, { files });
  let synced = false;
  files.fail = (operation) => {
    if (operation === 'datasync') synced = true;
    return undefined;
  };
  await log.intent(sampleCall(), allowed);
  assert.equal(synced, true);
});

test('records without a waiter are gathered for 2 ms into one write', async (t) => {
  const files = new FaultyFiles();
  const { log, file, clock } = await openSample(t, { files });
  for (let n = 0; n < 100; n += 1) log.observe(sampleCall({ method: `m${n}` }), allowed, ok);
  clock.pass(1);
  assert.equal(files.count('write'), 0);
  clock.pass(1);
  await log.flush();
  assert.equal(files.count('write'), 1);
  assert.equal(recordsOf(file).length, 100);
});

test('folded calls: the first, one record per 10 s, and the last at the end', async (t) => {
  const { log, file, clock } = await openSample(t);
  const read = sampleCall({ method: 'ReadStdout', fold: 'ReadStdout c1/' });
  const result = { ...ok, bytes: 10 };
  for (let n = 0; n < 10_000; n += 1) log.observe(read, allowed, result);
  clock.pass(10_000);
  for (let n = 0; n < 5; n += 1) log.observe(read, allowed, result);
  await log.close();
  const records = recordsOf(file);
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['call', 'fold', 'fold'],
  );
  assert.deepEqual(
    only(records, 'fold').map(({ of, count, bytes }) => [of, count, bytes]),
    [
      ['call', 9_999, 99_990],
      ['call', 5, 50],
    ],
  );
});

test('a repetition is counted once an equal request has its outcome', async (t) => {
  const { log, file, clock } = await openSample(t, { key: Buffer.alloc(32, 1) });
  const call = sampleCall({ method: 'SignalProcess', repeatable: true, subject: { containerId: 'c1' } });
  assert.equal(log.repeats(call, allowed), false);
  const intent = await log.intent(call, allowed);
  assert.equal(log.repeats(call, allowed), false, 'the first may still fail');
  log.outcome(intent, call, ok);
  assert.equal(log.repeats(call, allowed), true);
  for (const other of [
    { ...call, payload: Buffer.from('another') },
    { ...call, peer: 'cid 3' },
    { ...call, listener: 'tenant' },
    { ...call, method: 'CloseStdin' },
  ])
    assert.equal(log.repeats(other, allowed), false);
  assert.equal(log.repeats(call, { ...allowed, rule: 'watched' }), false);
  for (let n = 0; n < 1000; n += 1) log.observe(call, allowed, ok);
  clock.pass(10_000);
  await log.flush();
  clock.pass(20_000);
  assert.equal(log.repeats(call, allowed), false, 'the repetition has expired');
  await log.close();
  const records = recordsOf(file);
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['intent', 'outcome', 'fold'],
  );
  const fold = first(only(records, 'fold'));
  assert.equal(fold.count, 1000);
  assert.equal(fold.digest, first(only(records, 'intent')).digest);
  assert.equal(fold.subject?.containerId, 'c1');
});

test('a piece of a file that is counted is not digested', async (t) => {
  const { log, file } = await openSample(t);
  const piece = sampleCall({ method: 'CopyFile', repeatable: true, continues: 'f' });
  log.outcome(await log.intent(piece, allowed), piece, ok);
  const next: typeof piece = Object.defineProperty({ ...piece }, 'payload', {
    get: () => assert.fail('a megabyte is hashed for nothing'),
  });
  assert.equal(log.repeats(next, allowed), true);
  log.observe(next, allowed, ok);
  await log.close();
  const fold = first(only(recordsOf(file), 'fold'));
  assert.deepEqual([fold.count, fold.digest], [1, undefined]);
});

test('a failed call has no repetitions', async (t) => {
  const { log } = await openSample(t);
  const call = sampleCall({ repeatable: true });
  log.outcome(await log.intent(call, allowed), call, { ...ok, code: 'NOT_FOUND' });
  assert.equal(log.repeats(call, allowed), false);
});

test('while the log cannot be written, a repetition needs its own intent', async (t) => {
  const files = new FaultyFiles();
  const { log } = await openSample(t, { files });
  const call = sampleCall({ repeatable: true });
  log.outcome(await log.intent(call, allowed), call, ok);
  assert.equal(log.repeats(call, allowed), true);
  files.fail = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
  await assert.rejects(log.intent(sampleCall(), allowed), AuditUnavailable);
  assert.equal(log.repeats(call, allowed), false);
});

test('failing calls of a folded method are counted whatever they name', async (t) => {
  const { log, file } = await openSample(t);
  for (let n = 0; n < 1000; n += 1) {
    const call = sampleCall({ method: 'ReadStdout', fold: `ReadStdout no-${n}/` });
    log.observe(call, allowed, { ...ok, code: 'INVALID_ARGUMENT' });
  }
  await log.close();
  assert.deepEqual(
    recordsOf(file).map(({ kind }) => kind),
    ['call', 'fold'],
  );
});

test('the timer stops when nothing is being folded', async (t) => {
  const { log, clock } = await openSample(t);
  log.refuse(sampleCall(), denied);
  await log.flush();
  clock.pass(20_000);
  assert.equal(clock.timers, 0);
});

test('a flood of 100,000 denials leaves the one served exec in the log', async (t) => {
  const { log, file, clock } = await openSample(t, { maxSize: 64 * 1024, keep: 1 });
  const flood = (from: number): void => {
    for (let n = from; n < from + 50_000; n += 1) {
      log.refuse(sampleCall({ method: 'CopyFile' }), denied);
      if (n % 1000 === 0) clock.pass(100);
    }
  };
  flood(0);
  const exec = sampleCall({ subject: { containerId: 'c1', argv0: '/bin/needle' } });
  log.outcome(await log.intent(exec, allowed), exec, ok);
  flood(50_000);
  await log.close();
  const records = recordsOf(file);
  assert.ok(records.length < 10);
  assert.equal(
    only(records, 'intent').find(({ subject }) => subject?.argv0 === '/bin/needle')?.method,
    'ExecProcess',
  );
  const folded = only(records, 'fold').reduce((sum, { count }) => sum + count, 0);
  assert.equal(folded + only(records, 'refusal').length, 100_000);
});

test('so does a flood that varies peer and method', async (t) => {
  const { log, file, clock } = await openSample(t, { maxSize: 256 * 1024, keep: 1 });
  const exec = sampleCall({ subject: { argv0: '/bin/needle' } });
  log.outcome(await log.intent(exec, allowed), exec, ok);
  for (let n = 0; n < 100_000; n += 1) {
    log.refuse(sampleCall({ peer: `pid ${n}`, method: `m${n % 977}` }), denied);
    if (n % 100 === 0) clock.pass(100);
  }
  await log.close();
  const records = [file, `${file}.1`].filter((path) => existsSync(path)).flatMap(recordsOf);
  assert.equal(first(only(records, 'intent')).subject?.argv0, '/bin/needle');
  assert.ok(records.length < 600);
});

test('invalid sizes are rejected', async () => {
  const options = { file: '/nonexistent/audit.log', bootId: 'b', clock: new FakeClock() };
  await assert.rejects(openAuditLog({ ...options, maxSize: 1, keep: 0 }), RangeError);
  await assert.rejects(openAuditLog({ ...options, maxSize: 0, keep: 1 }), RangeError);
});

test('after close nothing is recorded, intents are rejected, and closing again is a no-op', async (t) => {
  const { log, file } = await openSample(t);
  await log.close();
  assert.equal(log.writable, false);
  assert.match(String(log.failure), /closed/);
  await assert.rejects(log.intent(sampleCall(), allowed), AuditUnavailable);
  await assert.rejects(log.boot({}), AuditUnavailable);
  await assert.rejects(log.flush(), AuditUnavailable);
  log.observe(sampleCall(), allowed, ok);
  log.outcome(1, sampleCall(), ok);
  log.refuse(sampleCall(), denied);
  await log.close();
  assert.equal(readFileSync(file, 'latin1'), '');
});

test('facts that are not JSON reject the boot, and the log continues', async (t) => {
  const { log } = await openSample(t);
  await assert.rejects(log.boot({ big: 1n }), TypeError);
  await assert.rejects(log.boot({ long: 'x'.repeat(64 * 1024) }), RangeError);
  assert.equal(await log.intent(sampleCall(), allowed), 1);
  assert.equal(log.writable, true);
});

test('the digest is HMAC-SHA-256 under the key', () => {
  const key = Buffer.alloc(32, 7);
  const payload = Buffer.from('secret');
  assert.equal(createDigest(key)(payload), createHmac('sha256', key).update(payload).digest('hex'));
});

test('without a given key each one is random, so that a short secret cannot be guessed', () => {
  const payload = Buffer.from('1234');
  const digest = createDigest();
  assert.equal(digest(payload), digest(payload));
  assert.notEqual(digest(payload), createDigest()(payload));
  assert.notEqual(digest(payload), createHash('sha256').update(payload).digest('hex'));
});
