// Downloads pinned releases of Node.js from npm, and unpacks them once into build/node.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { messageOf } from '@kata-agent/tool-command/command-line';
import { pinnedRelease } from './releases.js';

/**
 * Returns the path of a release's program, and downloads it if it does not exist. `wanted` is a version
 * (`24.21.0`) or a line (`24`). Throws if the package does not have the pinned digest.
 */
export function releasedNode(
  wanted: string,
  printProgress: (text: string) => void = () => undefined,
  directory: string = join(root, 'build', 'node'),
): string {
  const { version, integrity } = pinnedRelease(wanted);
  const expected = integrity[process.arch];
  if (expected === undefined)
    throw new Error(
      `guest-image/image/src/node/releases.ts has no digest of Node.js ${version} for ${process.arch}\nhelp: add it, or use --node FILE`,
    );
  // The digest is part of the path, so a program unpacked for another pin is never used.
  const digest = Buffer.from(expected.slice('sha512-'.length), 'base64').toString('hex');
  const program = join(directory, `${version}-${digest.slice(0, 16)}`, 'bin', 'node');
  if (!existsSync(program)) {
    printProgress(`downloading Node.js ${version}`);
    download(`node-linux-${process.arch}@${version}`, expected, dirname(dirname(program)));
  }
  return program;
}

/**
 * Unpacks into a temporary directory and renames it, so that concurrent downloads do not see incomplete
 * directories.
 */
function download(name: string, expected: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  const directory = mkdtempSync(join(dirname(target), 'download-'));
  chmodSync(directory, 0o755); // mkdtemp sets 0700; tests run the program as other users.
  try {
    const archive = join(directory, downloadPackage(name, directory));
    checkIntegrity(name, readFileSync(archive), expected);
    run('tar', ['-xzf', archive, '--strip-components=1', '--no-same-owner', 'package/bin/node'], {
      cwd: directory,
    });
    rmSync(archive);
    if (!existsSync(target)) renameSync(directory, target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Downloads a package into a directory with npm, and returns its file name. */
function downloadPackage(name: string, directory: string): string {
  try {
    const printed = run('npm', ['pack', '--json', '--ignore-scripts', name], { cwd: directory });
    const [pack]: readonly { readonly filename: string }[] = JSON.parse(printed);
    if (pack === undefined) throw new Error('npm pack printed no file name');
    return pack.filename;
  } catch (error) {
    throw new Error(
      `npm cannot download ${name}: ${messageOf(error)}\n` +
        'help: check `npm config get registry` and `npm ping`, or build the image with `--node FILE`',
      { cause: error },
    );
  }
}

/** Throws if the bytes of a package do not have the pinned digest. */
export function checkIntegrity(name: string, bytes: Buffer, expected: string): void {
  const found = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (found !== expected)
    throw new Error(
      `${name} has the digest ${found}, but guest-image/image/src/node/releases.ts pins ${expected}`,
    );
}
