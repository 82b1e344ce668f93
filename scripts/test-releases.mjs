// `node scripts/test-releases.mjs RELEASE… [-- FILTER…]`: the tests under other releases of Node.js, such as `22 24`: those
// that image/node-releases.mjs pins, as npm has them. Tests that build a guest's image are not about these: an image has a
// Node.js of its own (`npm run image -- --node`).
import { spawnSync } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { pinnedRelease } from '../image/node-releases.mjs';
import { root } from './bootstrap.mjs';
import { run } from './image-packages.mjs';
import { releasedNode } from './node-release.mjs';

const words = process.argv.slice(2);
const end = words.includes('--') ? words.indexOf('--') : words.length;
const wanted = words.slice(0, end);
if (wanted.length === 0) {
  console.error(
    'node scripts/test-releases.mjs RELEASE… [-- FILTER…], as in: node scripts/test-releases.mjs 22 24',
  );
  process.exit(2);
}

/** The programs of all: a release that is not pinned is known before the first download, and one that cannot be fetched before the first test. */
function programs() {
  try {
    for (const release of wanted) pinnedRelease(release);
    return wanted.map((release) => ({
      release,
      node: releasedNode(release, (text) => console.error(`• ${text}`)),
    }));
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}

const failed = programs().filter(({ node }) => {
  console.error(`• Node.js ${run(node, ['--version']).trim()}`);
  const { status } = spawnSync(node, [join(root, 'scripts', 'test.mjs'), ...words.slice(end + 1)], {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` },
  });
  return status !== 0;
});
if (failed.length > 0) console.error(`failed: ${failed.map(({ release }) => release).join(', ')}`);
process.exit(failed.length > 0 ? 1 : 0);
