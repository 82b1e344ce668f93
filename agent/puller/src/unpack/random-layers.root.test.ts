import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type BuiltEntry, buildTar, layerOf } from '../testing/tar-builder.js';
import { whyNotRoot, Workplace } from '../testing/unpacking.js';
import { LayerError } from './layer-error.js';

/** Few names, so that entries meet: links below links, files in the way, whiteouts of what is there. */
const component = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'canary') },
  { weight: 1, arbitrary: fc.constantFrom('..', '.', '') },
);
const whiteout = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom('.wh.a', '.wh.b', '.wh.canary', '.wh..wh..opq') },
  { weight: 1, arbitrary: fc.constantFrom('.wh.', '.wh..', '.wh...') },
);
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const removed = fc.tuple(path, whiteout).map((parts) => parts.join('/'));
const target = fc.oneof(
  path,
  path.map((each) => `/${each}`),
  fc.integer({ min: 1, max: 6 }).map((depth) => `${'../'.repeat(depth)}canary`),
  fc.constantFrom('/', '.', '..', '/proc/self/root', '/dev/shm', 'a', 'b'),
);
const created: fc.Arbitrary<BuiltEntry> = fc.record({
  name: path,
  type: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom('0', '0', '0', '5', '5', '2', '2', '2', '1', '6') },
    { weight: 1, arbitrary: fc.constantFrom('3', 'S', 'x') },
  ),
  link: target,
  mode: fc.constantFrom(0o644, 0o4755, 0, 0o7777),
  uid: fc.integer({ min: 0, max: 100_000 }),
});
const filled = created.map((each) => (each.type === '0' ? { ...each, content: 'x' } : each));
const entry = fc.oneof(
  { weight: 5, arbitrary: filled },
  { weight: 1, arbitrary: removed.map((name) => ({ name })) },
);
const layer = fc.array(entry, { maxLength: 8 }).map((entries) => buildTar(entries));
/** The same with some bytes changed: mostly of headers. */
const damaged = fc
  .tuple(layer, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
  .map(([archive, changes]) => {
    for (const [at, byte] of changes) archive[at % archive.length] = byte;
    return archive;
  });

test('no layers change anything outside the root, and every error is typed', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  const before = place.outside();
  const descriptors = readdirSync('/proc/self/fd').length;
  let unpacked = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 8, arbitrary: layer }, damaged), { minLength: 1, maxLength: 4 }),
      async (layers) => {
        place.empty();
        try {
          await place.unpack(layers.map((archive) => layerOf(archive)));
          unpacked += 1;
        } catch (error) {
          assert.ok(error instanceof LayerError, String(error instanceof Error ? error.stack : error));
          // With enough space the kernel refuses nothing that was not refused before.
          assert.notEqual(error.code, 'system', error.message);
        }
        assert.deepEqual(place.outside(), before);
      },
    ),
    { numRuns: 1000 },
  );
  assert.ok(unpacked > 50, `${unpacked} were unpacked`);
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
});

test('random bytes behind a valid header are refused, by code', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), fc.boolean(), async (bytes, gzip) => {
      place.empty();
      const good = layerOf(
        Buffer.concat([buildTar([{ name: 'f' }]).subarray(0, 512), bytes]),
        gzip ? 'gzip' : 'none',
      );
      await place
        .unpack([good])
        .catch((error: unknown) => assert.ok(error instanceof LayerError, String(error)));
    }),
    { numRuns: 300 },
  );
});
