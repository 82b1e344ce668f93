// A pinned release of Node.js as npm has it, unpacked once into build/node.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pinnedRelease } from '../image/node-releases.mjs';
import { root } from './bootstrap.mjs';
import { run } from './image-packages.mjs';

/**
 * Returns the path of a release's program, which is downloaded when it is not there; `wanted` is a version or its first
 * number. Throws when what comes does not have the pinned digest.
 */
export function releasedNode(wanted, say = () => undefined, folder = join(root, 'build', 'node')) {
  const { version, integrity } = pinnedRelease(wanted);
  const expected = integrity[process.arch];
  if (expected === undefined)
    throw new Error(`image/node-releases.mjs pins no Node.js ${version} for ${process.arch}`);
  // The digest is a part of the path: another pin never finds what an earlier one left.
  const digest = Buffer.from(expected.slice('sha512-'.length), 'base64').toString('hex');
  const program = join(folder, `${version}-${digest.slice(0, 16)}`, 'bin', 'node');
  if (!existsSync(program)) {
    say(`downloading Node.js ${version}`);
    download(`node-linux-${process.arch}@${version}`, expected, dirname(dirname(program)));
  }
  return program;
}

/** Unpacks into a folder of its own first: two that download at the same time do not see halves of each other. */
function download(name, expected, target) {
  mkdirSync(dirname(target), { recursive: true });
  const folder = mkdtempSync(join(dirname(target), 'download-'));
  chmodSync(folder, 0o755); // Tests run it as other users, too.
  try {
    const [{ filename }] = JSON.parse(packed(name, folder));
    const archive = join(folder, filename);
    checkIntegrity(name, readFileSync(archive), expected);
    run('tar', ['-xzf', archive, '--strip-components=1', '--no-same-owner', 'package/bin/node'], {
      cwd: folder,
    });
    rmSync(archive);
    if (!existsSync(target)) renameSync(folder, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function packed(name, folder) {
  try {
    return run('npm', ['pack', '--json', '--ignore-scripts', name], { cwd: folder });
  } catch (error) {
    throw new Error(
      `npm cannot fetch ${name}: ${error.message}\n` +
        'help: see what `npm config get registry` and `npm ping` say; an image can be made with `--node FILE`',
      { cause: error },
    );
  }
}

/** Throws when a package is not the pinned one. */
export function checkIntegrity(name, bytes, expected) {
  const found = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (found !== expected)
    throw new Error(`${name} has the digest ${found}, and image/node-releases.mjs pins ${expected}`);
}
