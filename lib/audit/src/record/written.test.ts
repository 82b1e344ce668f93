import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bounded, type Bounds, clip, printableJson, writtenBytes } from './written.js';
import { recordedRequest } from './recorded-request.js';

const bounds: Bounds = { bytes: 1000, text: 100 };
/** Maximum size of the mark of a cut, which is added. */
const markBytes = 130;

function written(value: unknown): string {
  return printableJson(JSON.stringify(value));
}

test('a value within its bounds is written unchanged', () => {
  const value = { user: '0:0', mounts: [{ source: '/a', destination: '/b' }] };
  assert.equal(bounded(value, bounds), value);
});

test('any request is cut to its bounds, with a digest of the whole', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('€'.repeat(512), '\u0000'.repeat(200), '/dev'),
  );
  const mounts = fc.array(fc.record({ source: text, destination: text }), { maxLength: 40 });
  const request = fc.record(
    {
      user: text,
      mounts,
      devices: fc.array(text, { maxLength: 40 }),
      interface: fc.record({ name: text, addresses: fc.array(text, { maxLength: 40 }) }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(request, (value) => {
      const kept = bounded(value, bounds);
      assert.ok(written(kept).length <= bounds.bytes + markBytes);
      const whole = written(value);
      if (!('cut' in kept)) assert.deepEqual(kept, value);
      else {
        const sha256 = createHash('sha256').update(whole).digest('hex');
        assert.deepEqual(kept.whole, { bytes: whole.length, sha256 });
      }
    }),
  );
});

test('a long list takes no space from other members', () => {
  const mounts = Array.from({ length: 500 }, (_, index) => ({
    type: 'tmpfs',
    source: '€'.repeat(512),
    destination: `/tmp/${index}`,
  }));
  const storages = [{ driver: 'blk', source: '0d', mountPoint: '/run/kata-containers/sandbox/storage/x' }];
  const kept = recordedRequest({ user: '0:0', mounts, storages, privileges: ['capabilities'] });
  assert.equal(kept.user, '0:0');
  assert.deepEqual(kept.storages, storages);
  assert.deepEqual(kept.privileges, ['capabilities']);
  assert.equal(kept.cut, true);
  assert.ok((kept.mounts?.length ?? 0) > 5);
  assert.ok(written(kept).length < 4096 + markBytes);
});

test('the create of an ordinary pod is written whole', () => {
  const id = 'c'.repeat(64);
  const shared = (name: string): string =>
    `/run/kata-containers/shared/containers/${id}-0123456789abcdef-${name}`;
  const special = ['/proc', '/dev', '/dev/pts', '/dev/mqueue', '/sys', '/sys/fs/cgroup'];
  const bound = ['hosts', 'hostname', 'resolv.conf', 'termination-log', 'serviceaccount', 'config', 'data'];
  const request = {
    image: `registry.example/team/app@sha256:${'0'.repeat(64)}`,
    user: '1000:1000',
    namespaces: ['pid', 'mount', 'ipc', 'uts', 'cgroup'],
    mounts: [
      ...special.map((path) => ({ type: 'tmpfs', source: 'tmpfs', destination: path })),
      ...bound.map((name) => ({ type: 'bind', source: shared(name), destination: `/etc/${name}` })),
    ],
    storages: [{ driver: 'local', source: 'local', mountPoint: `/run/kata-containers/${id}/rootfs` }],
  };
  assert.equal(recordedRequest(request), request);
});

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
