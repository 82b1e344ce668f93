// `npm run image [-- OPTIONS]` builds a guest's kernel and initramfs, by default in build/image.

import { join, relative, resolve } from 'node:path';
import { installAll, root } from '@kata-agent/setup/bootstrap';
import {
  commandLine,
  createDirectory,
  existingFile,
  messageOf,
  parseOptions,
} from '@kata-agent/tool-command/command-line';
import { buildImage, type Image, lockOutputDirectory } from './build.js';
import { namedFiles } from './tree/guest-tree.js';

const usage = `npm run image [-- OPTIONS]
  --config FILE      add FILE as /etc/kata-agent/config.toml, and omit the code of methods that it never serves
  --root DIR         add the files that the configuration names, such as the CA of a tls:// listener, from DIR
  --require-config   build an agent that does not start without a configuration
  --with PART        add crun instead of runc, loopback (vsock inside the guest), tun (/dev/net/tun),
                     cifs (SMB shares), image-pull ([image] puller = "built-in"), or image-disk
                     ([image] store = "encrypted-disk", besides image-pull); may be repeated
  --inner-agent FILE add FILE, another agent such as Kata's, behind this one, with systemd (docs/forward-mode.md)
  --rootfs           build a disk with a read-only root (erofs, dm-verity), and a small initramfs that opens it
  --node FILE        use this Node.js instead of the release pinned in guest-image/image/src/node/releases.ts
  --fast             compress in 2 s instead of a minute; the image is 6 MB larger
  --out DIR          write to DIR; default: build/image
  --compiled         skip the check that the packages are compiled
  --help             print this help
Writes vmlinuz, initrd, root.erofs (with --rootfs), and manifest.json with their digests.
The exit code is 0 for success, 1 for a failed build, 2 for wrong usage.
Example: npm run image -- --config examples/start.toml --require-config`;

interface ImageOptions {
  readonly config?: string | undefined;
  readonly root?: string | undefined;
  readonly node?: string | undefined;
  readonly 'inner-agent'?: string | undefined;
  readonly 'require-config': boolean;
  readonly rootfs: boolean;
  readonly fast: boolean;
  readonly with: readonly string[];
  readonly out?: string | undefined;
  readonly compiled: boolean;
  readonly help?: boolean | undefined;
}

function imageOptions(words: readonly string[]): ImageOptions {
  const flag = { type: 'boolean', default: false } as const;
  const text = { type: 'string' } as const;
  const { values } = parseOptions(words, {
    config: text,
    root: text,
    node: text,
    'inner-agent': text,
    'require-config': flag,
    rootfs: flag,
    fast: flag,
    with: { type: 'string', multiple: true, default: [] },
    out: text,
    compiled: flag,
  });
  for (const [name, path] of [
    ['config', values.config],
    ['node', values.node],
    ['inner-agent', values['inner-agent']],
  ] as const)
    if (path !== undefined) existingFile(`--${name}`, path);
  return values;
}

const options = commandLine(usage, imageOptions);
if (!options.compiled) installAll('image');
let unlock: (() => void) | undefined;
try {
  const out = createDirectory('--out', resolve(options.out ?? join(root, 'build', 'image')));
  unlock = await lockOutputDirectory(out);
  const built = await buildImage({
    config: options.config,
    requireConfig: options['require-config'],
    with: options.with,
    rootfs: options.rootfs,
    innerAgent: options['inner-agent'],
    files: namedFiles(options.config, options.root),
    ...(options.node === undefined ? {} : { node: resolve(options.node) }),
    ...(options.fast ? { level: 3 } : {}),
    out,
    printProgress: (text) => console.error(`• ${text}`),
  });
  report(built);
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  unlock?.();
}

function report({ kernel, initrd, disks, sizes, packages, seconds }: Image): void {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1).padStart(6)} MB`;
  for (const { part, bytes, reason } of sizes) console.log(`${megabytes(bytes)}  ${part}: ${reason}`);
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${megabytes(total)}  total`);
  for (const { path, bytes, sha256 } of [initrd, ...disks, kernel])
    console.log(`${megabytes(bytes)}  ${relative(process.cwd(), path)}  sha256:${sha256}`);
  for (const { hash } of disks) console.log(`root hash ${hash}`);
  console.log(`${packages} Debian packages, ${seconds} s`);
}
