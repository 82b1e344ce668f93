import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FaultyFiles } from '../testing/faulty-files.js';
import {
  allowed,
  denied,
  ok,
  openSample,
  recordsOf,
  sampleCall,
  temporaryDirectory,
} from '../testing/sample.js';
import { verify } from '../read/verify.js';

/** Runs a program that opens a log and exits without closing it. */
function run(file: string, program: string): number | null {
  const text = `
    const { openAuditLog } = await import(${JSON.stringify(new URL('../index.js', import.meta.url).href)});
    const log = await openAuditLog({ file: ${JSON.stringify(file)}, maxSize: 1e6, keep: 1, bootId: 'b' });
    const call = { listener: 'l', peer: 'p', method: 'M', payload: new Uint8Array(), fold: 'f' };
    const allowed = { outcome: 'allow', method: 'M', listener: 'l', reason: 'r' };
    const ok = { code: 'OK', durationUs: 1 };
    ${program}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', text], { stdio: 'inherit' }).status;
}

test('a process writes buffered records when it exits', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const status = run(file, 'for (let n = 0; n < 9; n += 1) log.observe(call, allowed, ok); process.exit(3);');
  assert.equal(status, 3);
  assert.deepEqual(
    recordsOf(file).map((record) => (record.kind === 'fold' ? record.count : record.kind)),
    ['call', 8],
  );
  assert.equal((await verify(file)).ok, true);
});

test('an open log does not keep a process alive', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  assert.equal(run(file, 'log.observe(call, allowed, ok);'), 0);
  assert.equal(recordsOf(file).length, 1);
});

test('a killed process loses no intent, and the next one continues the log', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const program =
    "for (let n = 0; n < 5; n += 1) await log.intent(call, allowed); process.kill(process.pid, 'SIGKILL');";
  assert.equal(run(file, program), null);
  const { log } = await openSample(t, { file });
  assert.equal(await log.intent(sampleCall(), allowed), 6);
  assert.equal((await verify(file)).ok, true);
});

/** Runs the log's exit handler without ending this process. */
function exitNow(): void {
  const listener = process.listeners('exit').at(-1);
  assert.ok(listener !== undefined);
  listener(0);
}

test('a failing disk at exit does not throw, and a torn line is left to the next start', async (t) => {
  const files = new FaultyFiles();
  const { log, file } = await openSample(t, { files });
  await log.boot({});
  files.fail = (operation) => (operation === 'writeNow' ? 'ENOSPC' : undefined);
  log.refuse(sampleCall(), denied);
  exitNow();
  assert.equal(log.writable, false);
  writeFileSync(file, '{"torn', { flag: 'a' });
  log.refuse(sampleCall({ method: 'other' }), denied);
  exitNow();
  assert.equal(files.count('writeNow'), 1);
  const again = await openSample(t, { file });
  await again.log.boot({});
  assert.equal((await verify(file)).ok, true);
  await again.log.close();
});

test('at exit nothing is written while a write is in progress', async (t) => {
  const files = new FaultyFiles();
  const { log, file } = await openSample(t, { files });
  const intent = log.intent(sampleCall(), allowed);
  await new Promise((resolve) => setImmediate(resolve));
  log.observe(sampleCall(), allowed, ok);
  exitNow();
  assert.equal(files.count('writeNow'), 0);
  await intent;
  await log.close();
  assert.equal((await verify(file)).ok, true);
});
