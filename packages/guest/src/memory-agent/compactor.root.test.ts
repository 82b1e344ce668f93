import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Compactor } from './compactor.js';

const skip: string | false = reasonToSkip();

function reasonToSkip(): string | false {
  if (process.env['CI'] === 'true') return false;
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync('/proc/sys/vm/compact_memory') ? false : 'needs a kernel with CONFIG_COMPACTION';
}

/** Pages that the kernel has looked at to move them, since boot. */
function scanned(): number {
  return Number(/^compact_migrate_scanned (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1]);
}

test('the kernel compacts its memory when it is asked to', { skip }, async () => {
  const before = scanned();
  const settings = {
    disabled: false,
    periodSeconds: 600,
    periodPressureLimit: 100,
    pressureLimit: 100,
    secondsMax: 60,
    order: 9,
    threshold: 1024,
    forceTimes: 0,
  };
  const log: string[] = [];
  const compactor = new Compactor('/proc', (_level, message, extras) =>
    log.push(`${message}: ${extras?.['end']}`),
  );
  assert.equal(await compactor.round(settings), true);
  assert.ok(scanned() > before, `${scanned()} pages were looked at, ${before} before`);
  assert.deepEqual(log, ['free memory was compacted: done']);
});
