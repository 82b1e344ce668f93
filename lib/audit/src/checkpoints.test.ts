import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { agentLogSigner, type LogSigner, openCheckpoint } from '@kata-agent/tlog';
import { FaultyFiles } from './testing/faulty-files.js';
import { allowed, ok, only, openSample, recordsOf, sampleCall, until } from './testing/sample.js';
import { checkpointPath } from './checkpoints.js';

const call = sampleCall();
const everyMs = 10_000;

function signer(): LogSigner {
  return agentLogSigner(generateKeyPairSync('ed25519').privateKey);
}

function sizeIn(file: string, key: LogSigner): number {
  const text = readFileSync(checkpointPath(file));
  return openCheckpoint(text, { logs: [key.verifier], witnesses: [] }).head.size;
}

test('a checkpoint is written after a time with new records, after many, and at the end', async (t) => {
  const key = signer();
  const { log, file, clock } = await openSample(t, { signer: key, checkpointEveryMs: everyMs });
  await log.boot({});
  clock.pass(everyMs - 1);
  assert.equal(existsSync(checkpointPath(file)), false);
  clock.pass(1);
  await until(() => existsSync(checkpointPath(file)));
  assert.equal(sizeIn(file, key), 1);
  assert.equal(statSync(checkpointPath(file)).mode & 0o777, 0o600);
  const { ino } = statSync(checkpointPath(file));
  // Without new records it stays.
  clock.pass(5 * everyMs);
  await log.flush();
  assert.equal(statSync(checkpointPath(file)).ino, ino);
  for (let n = 0; n < 1_100; n += 1) log.observe(call, allowed, ok);
  await log.flush();
  await until(() => sizeIn(file, key) > 1_000);
  await log.intent(call, allowed);
  await log.close();
  assert.equal(sizeIn(file, key), recordsOf(file).length);
  assert.equal(existsSync(`${checkpointPath(file)}.next`), false);
});

test('a checkpoint that cannot be written is reported, and the next one follows', async (t) => {
  const key = signer();
  const files = new FaultyFiles();
  const failures: string[] = [];
  const onCheckpointFailure = ({ message }: Error): void => void failures.push(message);
  const options = { signer: key, checkpointEveryMs: everyMs, files, onCheckpointFailure };
  const { log, file, clock } = await openSample(t, options);
  await log.boot({});
  files.fail = (operation) => (operation === 'rename' ? 'ENOSPC' : undefined);
  clock.pass(everyMs);
  await until(() => failures.length === 1);
  assert.equal(existsSync(checkpointPath(file)), false);
  files.fail = () => undefined;
  clock.pass(everyMs);
  await until(() => existsSync(checkpointPath(file)));
  assert.equal(sizeIn(file, key), 1);
});

test('a checkpoint that cannot be written is not tried again with each record', async (t) => {
  const failures: string[] = [];
  const onCheckpointFailure = ({ message }: Error): void => void failures.push(message);
  const options = { signer: signer(), checkpointEveryMs: everyMs, onCheckpointFailure };
  const { log, file, clock } = await openSample(t, options);
  mkdirSync(checkpointPath(file));
  await log.boot({});
  for (let n = 0; n < 1_100; n += 1) log.observe(call, allowed, ok);
  await log.flush();
  await until(() => failures.length === 1);
  for (let n = 0; n < 50; n += 1) await log.intent(call, allowed);
  assert.equal(failures.length, 1);
  clock.pass(everyMs);
  await until(() => failures.length === 2);
});

test('a heartbeat is recorded after a time without records, and only then', async (t) => {
  const { log, file, clock } = await openSample(t, { heartbeatMs: 60_000, signer: signer() });
  const beats = async (): Promise<number> => {
    await log.flush();
    return only(recordsOf(file), 'heartbeat').length;
  };
  await log.boot({});
  clock.pass(1_000);
  await log.intent(call, allowed);
  clock.pass(59_999);
  assert.equal(await beats(), 0);
  // A reader leaves no records.
  await log.checkpoint();
  clock.pass(1);
  assert.equal(await beats(), 1);
  for (const expected of [2, 3]) {
    clock.pass(59_999);
    assert.equal(await beats(), expected - 1);
    clock.pass(1);
    assert.equal(await beats(), expected);
  }
  await log.close();
  assert.equal(clock.timers, 0);
});

test('a heartbeat that cannot be written is followed by others', async (t) => {
  const files = new FaultyFiles();
  const { log, file, clock } = await openSample(t, { heartbeatMs: 60_000, files });
  await log.boot({});
  files.fail = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
  clock.pass(60_000);
  clock.pass(2);
  await until(() => !log.writable);
  files.fail = () => undefined;
  clock.pass(60_000);
  await until(() => log.writable);
  await log.flush();
  assert.equal(only(recordsOf(file), 'heartbeat').length, 1);
});
