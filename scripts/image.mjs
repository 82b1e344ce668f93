// `npm run image [-- OPTIONS]`: a guest's kernel and initramfs, in build/image.

import { join, relative, resolve } from 'node:path';
import { bootstrapAll, root } from './bootstrap.mjs';
import { existingFile, makeFolder, readOptions } from './command-line.mjs';
import { takeOut } from './image-out.mjs';

const usage = `npm run image [-- OPTIONS]
  --config FILE      the configuration in the image, /etc/kata-agent/config.toml; the bundle has what FILE serves, no more
  --require-config   the agent does not start without one
  --with PART        also PART: verity, or loopback (vsock inside the guest); may be repeated
  --rootfs           a disk with a read-only root (erofs, dm-verity), and a small initramfs that opens it
  --node FILE        a Node.js in the place of the pinned release of image/node-releases.mjs
  --fast             compress in 2 s instead of a minute, and 6 MB larger
  --out DIR          default: build/image
  --compiled         the packages are compiled: do not look again
  --help
The exit code is 0, 1 when there is no image, 2 for wrong use. manifest.json has the digests for a machine to read.
Example: npm run image -- --config examples/start.toml --require-config`;

function commandLine() {
  const flag = { type: 'boolean', default: false };
  const text = { type: 'string' };
  try {
    const { values } = readOptions(process.argv.slice(2), {
      config: text,
      node: text,
      'require-config': flag,
      rootfs: flag,
      fast: flag,
      with: { type: 'string', multiple: true, default: [] },
      out: text,
      compiled: flag,
    });
    for (const name of ['config', 'node'])
      if (values[name] !== undefined) existingFile(`--${name}`, values[name]);
    return values;
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = commandLine();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (!options.compiled) bootstrapAll('image');
const { buildImage } = await import('./image-build.mjs');
let giveBack;
try {
  const out = makeFolder('--out', resolve(options.out ?? join(root, 'build', 'image')));
  giveBack = await takeOut(out);
  const built = await buildImage({
    config: options.config,
    requireConfig: options['require-config'],
    with: options.with,
    rootfs: options.rootfs,
    ...(options.node === undefined ? {} : { node: resolve(options.node) }),
    ...(options.fast ? { level: 3 } : {}),
    out,
    say: (text) => console.error(`• ${text}`),
  });
  report(built);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  giveBack?.();
}

function report({ kernel, initrd, disks, sizes, packages, seconds }) {
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1).padStart(6)} MB`;
  for (const { part, bytes, reason } of sizes) console.log(`${megabytes(bytes)}  ${part}: ${reason}`);
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${megabytes(total)}  in all`);
  for (const { path, bytes, sha256 } of [initrd, ...disks, kernel])
    console.log(`${megabytes(bytes)}  ${relative(process.cwd(), path)}  sha256:${sha256}`);
  for (const { hash } of disks) console.log(`root hash ${hash}`);
  console.log(`${packages} Debian packages, ${seconds} s`);
}
