import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { AuditUnavailable } from '../audit-log.js';
import type { Allocate } from '../file-layer.js';
import { FaultyFiles } from '../testing/faulty-files.js';
import { allowed, ok, only, openSample, recordsOf, sampleCall } from '../testing/sample.js';
import { verify } from '../read/verify.js';

const kill = sampleCall({ method: 'SignalProcess', urgent: true });
const change = sampleCall({ method: 'UpdateRoutes' });

/** A fake disk that allocates space until it is full; files keep what they have. */
class Disk {
  full = false;
  readonly ends: number[] = [];

  readonly allocate: Allocate = (_descriptor, offset, length) => {
    if (this.full) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    this.ends.push(offset + length);
  };
}

test('every write leaves the reserve after it', async (t) => {
  const disk = new Disk();
  const { log } = await openSample(t, { files: new FaultyFiles(disk.allocate), maxSize: 1 << 20 });
  assert.equal(log.hasReserve, true);
  assert.ok((disk.ends[0] ?? 0) >= 128 * 1024);
  for (let n = 0; n < 400; n += 1) await log.intent(change, allowed);
  const size = 400 * 400;
  assert.ok((disk.ends.at(-1) ?? 0) >= size + 128 * 1024);
});

test('on a full disk, calls that end something are recorded in the reserve until it is used up', async (t) => {
  const disk = new Disk();
  const files = new FaultyFiles(disk.allocate);
  const { log, file } = await openSample(t, { files, maxSize: 64 * 1024, keep: 1 });
  await log.boot({});
  disk.full = true;
  const refused = async (): Promise<boolean> => {
    try {
      await log.intent(change, allowed);
      return false;
    } catch (error) {
      assert.ok(error instanceof AuditUnavailable);
      return true;
    }
  };
  while (!(await refused())) log.observe(change, allowed, ok);
  assert.equal(log.writable, false);
  // The reserve is half of a segment this small.
  for (let n = 0; n < 30; n += 1) log.outcome(await log.intent(kill, allowed), kill, ok);
  assert.equal(await refused(), true);
  assert.equal(existsSync(`${file}.1`), false, 'there is no space for the next segment, so none was begun');
  assert.equal((await verify(file)).ok, true);
  let more = 0;
  while (more < 1000) {
    const ended = await log.intent(kill, allowed).then(
      () => false,
      (error: unknown) => error instanceof AuditUnavailable,
    );
    if (ended) break;
    more += 1;
  }
  assert.ok(more > 10 && more < 1000, `${more} more`);
  disk.full = false;
  await log.intent(change, allowed);
  assert.equal(log.writable, true);
  await log.close();
  const records = existsSync(`${file}.1`) ? [...recordsOf(`${file}.1`), ...recordsOf(file)] : recordsOf(file);
  assert.ok(only(records, 'lost').length > 0);
  assert.equal(only(records, 'outcome').length, 30);
  assert.deepEqual((await verify(file)).problems, []);
});

test('without support for reserving space, the log reports it and works while there is space', async (t) => {
  const files = new FaultyFiles(() => {
    throw Object.assign(new Error('EOPNOTSUPP'), { code: 'EOPNOTSUPP' });
  });
  const { log } = await openSample(t, { files });
  assert.equal(log.hasReserve, false);
  assert.equal(await log.intent(change, allowed), 1);
});
