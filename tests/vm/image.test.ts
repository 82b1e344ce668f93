import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { buildImage } from '@kata-agent/tool-guest-image/build';
import { boot, listening, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

/** The ratio of level 19, which takes a minute, to level 3. */
const level19 = 0.85;

describe('the image of `npm run image`', { skip }, () => {
  let directory = '';
  let image: Awaited<ReturnType<typeof buildImage>>;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-image-'));
    const config = join(repository, 'examples', 'confidential.toml');
    const out = join(directory, 'image');
    image = await buildImage({ config, requireConfig: true, level: 3, out, printProgress: () => undefined });
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  it('has no part without a reason', () => {
    for (const { part, reason } of image.sizes) assert.ok((reason ?? '').length > 10, part);
    for (const left of ['tpm', 'added']) assert.ok(!image.sizes.some(({ part }) => part === left), left);
  });

  it('has at most 34.5 MB, and unpacked fits into half of 304 MB with room to boot', () => {
    const unpacked = image.sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(image.initrd.bytes * level19 < 34.5e6, `${image.initrd.bytes} at level 3`);
    assert.ok(unpacked < 114e6, `${unpacked} unpacked`);
  });

  it('boots in 304 MB, without special words on the kernel command line', async () => {
    // The compressed and unpacked images are in memory together, and the kernel gives the latter half of the rest.
    const more = Math.ceil((image.initrd.bytes * (1 - level19)) / 2 ** 20);
    const machine = await boot(image, join(directory, 'boot'), { bare: true, memory: 304 + more });
    try {
      await machine.line(listening);
    } finally {
      await machine.kill();
    }
    const output = machine.lines.join('\n');
    assert.doesNotMatch(output, /unpacking failed/, 'all files are present');
    assert.doesNotMatch(output, /compiled again/, 'the compile cache is used');
  });
});
