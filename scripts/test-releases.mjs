// `node scripts/test-releases.mjs RELEASE… [-- FILTER…]`: the tests under other releases of Node.js, such as `22 24`, each as
// npm has it. What is downloaded stays in build/node. With `-- vm` the guests' images have that Node.js too.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './bootstrap.mjs';
import { run } from './image-packages.mjs';

/** The folder of a release's program, which is downloaded when it is not there. npm compares what comes with its digest. */
function release(version) {
  const folder = join(root, 'build', 'node', version);
  const bin = join(folder, 'bin');
  if (!existsSync(join(bin, 'node'))) {
    mkdirSync(folder, { recursive: true });
    const packed = run('npm', ['pack', '--json', `node-linux-${process.arch}@${version}`], { cwd: folder });
    const [{ filename }] = JSON.parse(packed);
    run('tar', ['-xzf', filename, '--strip-components=1', 'package/bin/node'], { cwd: folder });
    rmSync(join(folder, filename));
  }
  return bin;
}

const words = process.argv.slice(2);
const end = words.includes('--') ? words.indexOf('--') : words.length;
const versions = words.slice(0, end);
if (versions.length === 0) {
  console.error(
    'node scripts/test-releases.mjs RELEASE… [-- FILTER…], as in: node scripts/test-releases.mjs 22 24',
  );
  process.exit(2);
}
const failed = versions.filter((version) => {
  const bin = release(version);
  const node = join(bin, 'node');
  console.error(`• Node.js ${run(node, ['--version']).trim()}`);
  const { status } = spawnSync(node, [join(root, 'scripts', 'test.mjs'), ...words.slice(end + 1)], {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  });
  return status !== 0;
});
if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
process.exit(failed.length > 0 ? 1 : 0);
