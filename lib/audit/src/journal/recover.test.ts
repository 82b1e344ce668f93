import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AuditUnavailable } from '../audit-log.js';
import {
  allowed,
  denied,
  first,
  only,
  openSample,
  recordsOf,
  sampleCall,
  temporaryDirectory,
} from '../testing/sample.js';
import { verify } from '../read/verify.js';

test('chain and sequence numbers continue over restarts', async (t) => {
  const { log, file } = await openSample(t);
  await log.boot({});
  await log.intent(sampleCall(), allowed);
  await log.close();
  const again = await openSample(t, { file, bootId: 'boot-2' });
  await again.log.boot({});
  assert.equal(await again.log.intent(sampleCall(), allowed), 4);
  await again.log.close();
  assert.deepEqual(
    recordsOf(file).map(({ boot }) => boot),
    ['boot-1', 'boot-1', 'boot-2', 'boot-2'],
  );
  assert.equal((await verify(file)).ok, true);
});

test('a torn last line is truncated, and a record after the boot record reports it', async (t) => {
  const { log, file } = await openSample(t);
  await log.boot({});
  await log.close();
  writeFileSync(file, '{"sequence":2,"pre', { flag: 'a' });
  const again = await openSample(t, { file });
  await again.log.boot({});
  await again.log.close();
  const records = recordsOf(file);
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['boot', 'boot', 'repaired'],
  );
  assert.equal(first(only(records, 'repaired')).cutBytes, 18);
  assert.equal((await verify(file)).ok, true);
});

test('a log torn in its first line starts again; without a boot record the repair record comes first', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  writeFileSync(file, '{"seq');
  const { log } = await openSample(t, { file });
  await log.intent(sampleCall(), allowed);
  await log.close();
  assert.deepEqual(
    recordsOf(file).map(({ kind, sequence }) => [kind, sequence]),
    [
      ['repaired', 1],
      ['intent', 2],
    ],
  );
  writeFileSync(file, '{"seq', { flag: 'a' });
  const again = await openSample(t, { file });
  again.log.refuse(sampleCall(), denied);
  await again.log.close();
  assert.deepEqual(
    recordsOf(file).map(({ kind }) => kind),
    ['repaired', 'intent', 'repaired', 'refusal'],
  );
});

test('a log that ends in a damaged line is neither continued nor modified', async (t) => {
  const { log, file } = await openSample(t);
  await log.boot({});
  await log.close();
  for (const damaged of ['what is this\n', 'x'.repeat(1024 * 1024 + 1)]) {
    const before = readFileSync(file, 'latin1') + damaged;
    writeFileSync(file, before);
    await assert.rejects(openSample(t, { file }), (error) => {
      assert.ok(error instanceof AuditUnavailable);
      assert.match(error.message, /cannot be continued: .*move .*audit\.log\.\* away/);
      return true;
    });
    assert.equal(readFileSync(file, 'latin1'), before);
  }
});

test('the file gets mode 0600 in a directory of mode 0700, whatever the modes before', async (t) => {
  const file = join(temporaryDirectory(t), 'run', 'kata', 'audit.log');
  const { log } = await openSample(t, { file });
  await log.close();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700);
  chmodSync(file, 0o644);
  await (await openSample(t, { file })).log.close();
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('a symbolic link, directory or named pipe in place of the log is rejected', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'target'), '');
  symlinkSync(join(directory, 'target'), join(directory, 'link'));
  mkdirSync(join(directory, 'directory'));
  execFileSync('mkfifo', [join(directory, 'pipe')]);
  for (const name of ['link', 'directory', 'pipe']) {
    await assert.rejects(openSample(t, { file: join(directory, name) }), (error) => {
      assert.ok(error instanceof AuditUnavailable);
      assert.match(error.message, /it must be missing or a regular file/);
      return true;
    });
  }
  assert.deepEqual(readdirSync(directory).sort(), ['directory', 'link', 'pipe', 'target']);
});

const isRoot = process.geteuid?.() === 0;
const skip = isRoot || process.env['CI'] === 'true' ? false : 'only root can give a file away';

test('a log owned by another user is rejected', { skip }, async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  writeFileSync(file, '');
  chownSync(file, 12_345, 0);
  await assert.rejects(openSample(t, { file }), /is owned by uid 12345/);
});
