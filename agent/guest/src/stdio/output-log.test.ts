import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { OutputLog } from './output-log.js';

const directory = mkdtempSync(join(tmpdir(), 'guest-log-'));
after(() => rmSync(directory, { recursive: true }));

test('a log has the last bytes of the output, within its limit', () => {
  let n = 0;
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 30 }), (pieces) => {
      const file = join(directory, `log-${(n += 1)}`);
      const log = new OutputLog(file, 64);
      for (const piece of pieces) log.append(piece);
      const parts = [`${file}.1`, file].map((name) =>
        existsSync(name) ? readFileSync(name) : Buffer.alloc(0),
      );
      const kept = Buffer.concat(parts);
      const all = Buffer.concat(pieces);
      assert.ok(kept.length <= 64);
      assert.ok(kept.length >= Math.min(32, all.length));
      assert.deepEqual(kept, all.subarray(all.length - kept.length));
      log.remove();
      assert.ok(!existsSync(file) && !existsSync(`${file}.1`));
    }),
    { numRuns: 50 },
  );
});
