import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AuditUnavailable } from '../audit-log.js';
import { allowed, ok, only, openSample, recordsOf, sampleCall } from '../testing/sample.js';
import { verify } from '../read/verify.js';

const isRoot = process.geteuid?.() === 0;
const skip = isRoot || process.env['CI'] === 'true' ? false : 'only root can mount a small file system';

test('on a full disk intents are rejected, reads continue, and the log recovers once there is space', {
  skip,
}, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-audit-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'kata-audit-test', directory]);
  t.after(() => {
    // Lazy: when the test has failed, the log is still open.
    execFileSync('umount', ['-l', directory]);
    rmdirSync(directory);
  });
  const ballast = join(directory, 'ballast');
  writeFileSync(ballast, Buffer.alloc(16 * 1024));
  const { log, file } = await openSample(t, { file: join(directory, 'audit.log') });
  await log.boot({});

  let acknowledged = 0;
  const failure = await (async (): Promise<unknown> => {
    for (;;) {
      try {
        acknowledged = await log.intent(sampleCall(), allowed);
      } catch (error) {
        return error;
      }
    }
  })();
  assert.ok(failure instanceof AuditUnavailable);
  assert.match(failure.message, /ENOSPC.*free space on its filesystem, or lower \[audit\] max_size and keep/);
  assert.equal(log.writable, false);
  await assert.rejects(log.intent(sampleCall(), allowed), AuditUnavailable);
  log.observe(sampleCall({ method: 'ReadStdout' }), allowed, ok);

  const full = await verify(file);
  assert.equal(full.ok, true);
  assert.equal(full.last, acknowledged);

  rmSync(ballast);
  const next = await log.intent(sampleCall(), allowed);
  assert.equal(log.writable, true);
  await log.close();
  const records = recordsOf(file);
  assert.equal(only(records, 'lost').length, 1);
  assert.equal(records.find(({ sequence }) => sequence === next)?.kind, 'intent');
  assert.equal((await verify(file)).ok, true);
});
