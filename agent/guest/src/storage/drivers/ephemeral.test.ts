import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeTree } from '../../testing/tree.js';
import { addHugePages, hugePagesOf, removeHugePages } from './ephemeral.js';

const size = 'sys/kernel/mm/hugepages/hugepages-2048kB';

function guest(context: TestContext, files: Readonly<Record<string, string>> = {}) {
  const root = makeTree({ [`${size}/nr_hugepages`]: '3\n', ...files });
  context.after(() => rmSync(root, { recursive: true }));
  const roots = { sys: join(root, 'sys'), proc: join(root, 'proc') };
  const file = join(root, size, 'nr_hugepages');
  return { roots, all: () => Number(readFileSync(file, 'utf8')) };
}

const pages = (count: number) => hugePagesOf(['pagesize=2097152', `size=${count * 2097152}`]);

test('huge pages of storages are added to those of the guest, and released', async (context) => {
  const { roots, all } = guest(context);
  await Promise.all([addHugePages(pages(2), roots), addHugePages(pages(1), roots)]);
  assert.equal(all(), 6);
  await removeHugePages(pages(2), roots);
  assert.equal(all(), 4);
  await removeHugePages(pages(1), roots);
  assert.equal(all(), 3);
  await removeHugePages(pages(8), roots);
  assert.equal(all(), 0);
});

test('no pages are kept if the kernel finds too few', async (context) => {
  // One of the existing pages is a surplus page.
  const { roots, all } = guest(context, { [`${size}/surplus_hugepages`]: '1\n' });
  await assert.rejects(addHugePages(pages(4), roots), {
    kind: 'exhausted',
    message: 'only 3 of 4 huge pages of 2097152 bytes are free',
  });
  assert.equal(all(), 2);
});

test('too many pages, and unknown page sizes, are refused without a change', async (context) => {
  const meminfo = 'MemTotal:       9999999 kB\nMemAvailable:      4096 kB\n';
  const { roots, all } = guest(context, { 'proc/meminfo': meminfo });
  await assert.rejects(addHugePages(pages(3), roots), {
    kind: 'exhausted',
    message: /3 huge pages of 2097152 bytes exceed the available memory of 4194304 bytes/,
  });
  await assert.rejects(addHugePages(hugePagesOf(['pagesize=4096', 'size=4096']), roots), {
    kind: 'precondition',
    message: /no huge pages of 4096 bytes/,
  });
  await removeHugePages(hugePagesOf(['pagesize=4096', 'size=4096']), roots);
  assert.equal(all(), 3);
  await addHugePages(pages(2), roots);
  assert.equal(all(), 5);
});

test('sizes are numbers of bytes', () => {
  assert.deepEqual(hugePagesOf(['pagesize=2097152,size=4194304']), { pageSize: 2097152n, pages: 2n });
  for (const options of [[], ['pagesize=2M', 'size=2M'], ['pagesize=2097152'], ['pagesize=0', 'size=1']])
    assert.throws(() => hugePagesOf(options), { kind: 'invalid', message: /huge pages need/ });
});
