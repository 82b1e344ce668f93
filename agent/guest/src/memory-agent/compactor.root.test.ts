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

/** Returns the number of pages that compaction has scanned since boot. */
function scannedPages(): number {
  return Number(/^compact_migrate_scanned (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1]);
}

test('a round compacts the memory of the kernel', { skip }, async () => {
  const before = scannedPages();
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
  assert.ok(scannedPages() > before, `${scannedPages()} pages were scanned, ${before} before`);
  assert.deepEqual(log, ['free memory was compacted: done']);
});
