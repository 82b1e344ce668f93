import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownRuntimes } from './known-runtimes.js';
import { ociRuntimesPage } from './oci-runtimes-page.js';

test('the reference page has every vulnerability with its fixes and consequence, and every note', () => {
  const page = ociRuntimesPage();
  for (const { name, fixes, notes } of knownRuntimes) {
    for (const { flaws, in: releases, unreachable = 'a warning' } of fixes) {
      const row = page.split('\n').find((line) => line.startsWith(`| ${name} | ${flaws} | `));
      assert.ok(row?.includes(releases.join(', ')) && row.includes(unreachable), flaws);
    }
    for (const note of notes) assert.ok(page.includes(note), note);
  }
});
