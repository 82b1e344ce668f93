// `node scripts/test-releases.mjs RELEASE… [-- FILTER…]`: runs the tests with other releases of Node.js, such
// as `22 24`. The releases are those that guest-image/image/src/node/releases.ts pins, from npm's registry. Guest
// images in tests contain their own Node.js, whatever release runs the tests (`npm run image -- --node`).
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { messageOf } from '@kata-agent/tool-command/command-line';
import { releasedNode } from '@kata-agent/tool-guest-image/node/released-node';
import { pinnedRelease } from '@kata-agent/tool-guest-image/node/releases';
import { readReport, reportFile } from './report-file.js';
import { failedReleaseLines } from './report-lines.js';

const words = process.argv.slice(2);
const end = words.includes('--') ? words.indexOf('--') : words.length;
const releases = words.slice(0, end);
if (releases.length === 0) {
  console.error(
    'usage: node scripts/test-releases.mjs RELEASE… [-- FILTER…]\nexample: node scripts/test-releases.mjs 22 24 -- lib/ttrpc',
  );
  process.exit(2);
}

/**
 * Downloads the releases and returns their programs. A release that is not pinned causes an error before the
 * first download, and a failed download before the first test.
 */
function programs(): readonly { readonly release: string; readonly node: string }[] {
  try {
    for (const release of releases) pinnedRelease(release);
    return releases.map((release) => ({
      release,
      node: releasedNode(release, (text) => console.error(`• ${text}`)),
    }));
  } catch (error) {
    console.error(messageOf(error));
    process.exit(1);
  }
}

const failed = programs().flatMap(({ release, node }) => {
  // The report of the previous release must not be read for this one.
  rmSync(reportFile, { force: true });
  console.error(`• Node.js ${run(node, ['--version']).trim()}`);
  const { status } = spawnSync(node, [join(root, 'scripts', 'test.mjs'), ...words.slice(end + 1)], {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` },
  });
  return status === 0 ? [] : [{ release, report: readReport(reportFile) }];
});
for (const line of failedReleaseLines(failed)) console.error(line);
process.exit(failed.length > 0 ? 1 : 0);
