import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { readReport, reportFileIn } from './report-file.js';

it('a report is undefined until the test run has written it', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'kata-report-'));
  try {
    const path = reportFileIn(checkout);
    assert.equal(readReport(path), undefined);
    mkdirSync(dirname(path));
    writeFileSync(path, '');
    assert.equal(readReport(path), undefined);
    const report = { counts: { pass: 1 }, failures: [], skipped: [], times: [] };
    writeFileSync(path, JSON.stringify(report));
    assert.deepEqual(readReport(path), report);
  } finally {
    rmSync(checkout, { recursive: true });
  }
});
