// From packages and the bundle to a kernel and an initramfs.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageNodeVersion } from '../image/node-releases.mjs';
import { kernelPackage, ownParts, parts, rootfsPart } from '../image/parts.mjs';
import { root } from './bootstrap.mjs';
import { bundleAgent } from './bundle-programs.mjs';
import { planBundle } from './bundle-plan.mjs';
import { cpioArchive } from './image-archive.mjs';
import { guestNode } from './image-node.mjs';
import { cached, dependencyOf, resolvePackages, run, unpackPackages } from './image-packages.mjs';
import { releasedNode } from './node-release.mjs';
import { rootfsDisk, rootfsInitramfs } from './image-rootfs.mjs';
import { compiledAgent } from './image-program.mjs';
import { bundleWrapper, guestTree, programs } from './image-tree.mjs';

/** What `--with` knows beside the optional parts. */
const loopback = 'loopback';

/**
 * Builds into a folder: `vmlinuz`, `initrd`, `node` and the agent's wrapper and bundle for other images, and
 * `manifest.json`, which has the digest of every input. `node` is the path of a Node.js in the place of the pinned one.
 * `files` are put into the image as they are: `{ path, data, mode }`; `level` is zstd's, 19 for the smallest. The same inputs
 * give the same bytes.
 */
export async function buildImage({
  config,
  requireConfig = false,
  with: wanted = [],
  files = [],
  level = 19,
  rootfs = false,
  node,
  out,
  say,
}) {
  const begin = Date.now();
  const chosen = chooseParts(wanted);
  const cache = join(root, 'build', 'image-cache');
  // First of all: a configuration that is wrong is known before anything is downloaded.
  const facts = await planBundle({ file: config, requireConfig, embed: false });
  say('looking up Debian packages');
  const kernelName = dependencyOf(kernelPackage);
  const names = [
    ...new Set([
      kernelName,
      ...[...chosen, ...(rootfs ? [rootfsPart] : [])].flatMap(({ packages }) => packages),
    ]),
  ];
  const nodePath = node ?? releasedNode(imageNodeVersion, say);
  const packages = unpackPackages(resolvePackages(names), join(cache, 'packages'), say);
  const kernelFiles = packages.find(({ name }) => name === kernelName);
  const [release] = readdirSync(join(kernelFiles.folder, 'usr', 'lib', 'modules'));

  say('bundling the agent');
  mkdirSync(out, { recursive: true });
  const bundle = join(out, 'agent');
  await bundleAgent(bundle, facts);
  const program = await compiledAgent(join(out, 'compiled'), facts, nodePath);
  const nodeProgram = { path: nodePath, data: guestNode(nodePath, join(cache, 'programs'), say) };

  say('collecting files');
  const tree = guestTree({
    packages,
    parts: chosen,
    kernel: {
      kernel: kernelFiles.folder,
      release,
      cache: join(cache, 'modules'),
      digest: kernelFiles.sha256,
    },
    nodeProgram,
    program,
    koffi: join(bundle, 'node_modules'),
    config: config === undefined ? undefined : readFileSync(config),
    loopback: wanted.includes(loopback),
    agentArguments: [],
    files,
  });
  let archive = cpioArchive(tree);
  const content = sha256(archive);
  let disk;
  if (rootfs) {
    say('making the root file system');
    disk = rootfsDisk(tree, content, cache);
    archive = cpioArchive(rootfsInitramfs(tree, disk.table, programs(packages, [rootfsPart])));
  }
  say(`compressing ${(archive.length / 1e6).toFixed(0)} MB`);
  // Longer pieces than zstd would choose: a twentieth more bytes, and the kernel unpacks them in a seventh less time.
  const settings = [`-${level}`, '--zstd=minMatch=5'];
  const compressed = cached(join(cache, 'initrd'), [sha256(archive), settings], '.zst', () =>
    // One thread: several cut the input by their number, and so give other bytes.
    run('zstd', [...settings, '--single-thread', '-q', '-c'], { input: archive, encoding: 'buffer' }),
  );
  const kernel = place(
    join(out, 'vmlinuz'),
    readFileSync(join(kernelFiles.folder, 'boot', `vmlinuz-${release}`)),
  );
  place(join(out, 'kata-agent'), bundleWrapper(), 0o755);
  place(join(out, 'node'), nodeProgram.data, 0o755);
  const initrd = place(join(out, 'initrd'), compressed);
  const disks = disk === undefined ? [] : [{ ...place(join(out, 'root.erofs'), disk.disk), hash: disk.hash }];
  const manifest = {
    kernel: kernel.sha256,
    initrd: initrd.sha256,
    ...(disk === undefined ? {} : { root: disks[0].sha256, rootHash: disk.hash }),
    content,
    node: run(nodePath, ['--version']).trim(),
    nodeProgram: sha256(readFileSync(nodePath)),
    parts: digestsByPart(tree),
    packages: packages.map(({ file, sha256: digest }) => `${file} ${digest}`),
  };
  writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  return { kernel, initrd, disks, sizes: sizesByPart(tree), packages: packages.length, seconds };
}

function chooseParts(wanted) {
  const known = [...parts.filter(({ optional }) => optional).map(({ name }) => name), loopback];
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--with ${unknown}: there is ${known.join(', ')}`);
  return parts.filter(({ name, optional }) => !optional || wanted.includes(name));
}

function place(path, data, mode = 0o644) {
  writeFileSync(`${path}.new`, data, { mode });
  renameSync(`${path}.new`, path);
  return { path, bytes: data.length, sha256: sha256(data) };
}

function sizesByPart(tree) {
  const sizes = new Map();
  for (const { part, data } of tree) {
    if (data === undefined) continue;
    const { bytes, files } = sizes.get(part) ?? { bytes: 0, files: 0 };
    sizes.set(part, { bytes: bytes + data.length, files: files + 1 });
  }
  const reasons = new Map([...parts, ...ownParts].map(({ name, reason }) => [name, reason]));
  return [...sizes]
    .map(([part, size]) => ({ part, ...size, reason: reasons.get(part) }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Of each part its files' digest: where two images differ, these say in what. */
export function digestsByPart(tree) {
  const names = [...new Set(tree.map(({ part }) => part))].sort((a, b) => (a < b ? -1 : 1));
  const digestOf = (name) => sha256(cpioArchive(tree.filter(({ part }) => part === name)));
  return Object.fromEntries(names.map((name) => [name, digestOf(name)]));
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}
