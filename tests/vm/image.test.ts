import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { boot, type Image, listening, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

interface Size {
  readonly part: string;
  readonly bytes: number;
  readonly reason?: string;
}

/** What the scripts export; they are JavaScript. */
const { buildImage } = (await import(`${repository}scripts/image-build.mjs`)) as {
  readonly buildImage: (options: object) => Promise<Image & { readonly sizes: readonly Size[] }>;
};

/** Level 19, which takes a minute, makes this share of what level 3 makes. */
const level19 = 0.85;

describe('the image that `npm run image` makes', { skip }, () => {
  let folder = '';
  let image: Awaited<ReturnType<typeof buildImage>>;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-image-'));
    const config = join(repository, 'examples', 'confidential.toml');
    const out = join(folder, 'image');
    image = await buildImage({ config, requireConfig: true, level: 3, out, say: () => undefined });
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('has nothing without a reason', () => {
    for (const { part, reason } of image.sizes) assert.ok((reason ?? '').length > 10, part);
    for (const left of ['verity', 'tpm', 'added'])
      assert.ok(!image.sizes.some(({ part }) => part === left), left);
  });

  it('has at most 34.5 MB, and unpacked what fits into half of 304 MB with room to boot', () => {
    const unpacked = image.sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(image.initrd.bytes * level19 < 34.5e6, `${image.initrd.bytes} at level 3`);
    assert.ok(unpacked < 114e6, `${unpacked} unpacked`);
  });

  it('boots in 304 MB, without special words for the kernel', async () => {
    // What is compressed lies beside what is unpacked, and the kernel gives the latter half of the rest.
    const more = Math.ceil((image.initrd.bytes * (1 - level19)) / 2 ** 20);
    const machine = await boot(image, join(folder, 'boot'), { bare: true, memory: 304 + more });
    try {
      await machine.line(listening);
    } finally {
      await machine.kill();
    }
    const said = machine.lines.join('\n');
    assert.doesNotMatch(said, /unpacking failed/, 'all files are there');
    assert.doesNotMatch(said, /compiled again/, 'what the build compiled is taken');
  });
});
