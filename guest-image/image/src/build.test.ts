import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { lockOutputDirectory } from './build.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-image-out-'));
after(() => rmSync(directory, { recursive: true }));
mkdirSync(join(directory, 'directory'));

describe('the lock of an output directory', () => {
  it('is exclusive per directory, under any path, until it is released', async () => {
    const out = join(directory, 'directory');
    const unlock = await lockOutputDirectory(out);
    await assert.rejects(
      lockOutputDirectory(`${out}/../directory`),
      /another npm run image writes to .*\nhelp: wait/,
    );
    const unlockOther = await lockOutputDirectory(directory);
    unlockOther();
    unlock();
    const unlockAgain = await lockOutputDirectory(out);
    unlockAgain();
  });
});
