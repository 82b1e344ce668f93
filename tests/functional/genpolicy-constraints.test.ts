import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { constraintsPage } from '../genpolicy/constraints-page.js';
import { type Decided, decideAll } from '../genpolicy/decided-changes.js';
import { unshownDifferences } from '../genpolicy/differences.js';
import { repository } from '../harness/repository.js';

// What generated documents of pods like those of genpolicy's tests constrain, field by field: docs/records/genpolicy-constraints.md has the
// results beside what genpolicy's rules compare. `UPDATE_RESULTS=1 npm test -- functional/genpolicy-constraints` writes the page: read the
// difference before it is committed.

const page = join(repository, 'docs/records/genpolicy-constraints.md');

let decided: Decided;

before(async () => {
  decided = await decideAll();
  if (process.env['UPDATE_RESULTS'] === '1') writeFileSync(page, constraintsPage(decided));
});

test('each document serves the calls of its pod, and constrains all of its facts', () => {
  assert.equal(decided.pods.length, 10);
  assert.deepEqual(decided.faults, []);
});

test('a served change has a reason', () => {
  const open = decided.changes
    .filter(({ refusedBy, reasons }) => refusedBy === undefined && reasons.length === 0)
    .map(({ pod, method, field, kind, detail }) => `${pod}: ${method} ${field} ${kind} ${detail}`);
  assert.deepEqual(open, []);
});

test('the changed requests show each difference that the page names', () => {
  assert.deepEqual(unshownDifferences(decided), []);
});

test('the page has a row for each field and method, and these results', () => {
  assert.equal(constraintsPage(decided), readFileSync(page, 'utf8'));
});
