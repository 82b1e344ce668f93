import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clip } from './clip.js';
import { writtenBytes } from './written.js';

test('strings are truncated by their size as written, escapes included', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.string({ unit: fc.constantFrom('€', '"', '\n', '\u0000', 'a', '\ud800'), maxLength: 400 }),
  );
  fc.assert(
    fc.property(texts, fc.integer({ min: 6, max: 300 }), (text, bytes) => {
      const kept = clip(text, bytes);
      assert.ok(writtenBytes(kept) <= bytes);
      if (writtenBytes(text) <= bytes) assert.equal(kept, text);
      else {
        assert.ok(kept.endsWith('…'));
        assert.ok(text.startsWith(kept.slice(0, -1)));
      }
    }),
  );
});

test('an id of the maximum length is not truncated', () => {
  assert.equal(clip('a'.repeat(128), 128), 'a'.repeat(128));
});
