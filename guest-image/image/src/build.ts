// Builds an image, a kernel and an initramfs, from packages and the bundle.
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { run, runForBytes } from '@kata-agent/setup/run-program';
import { forwardOf, planBundle } from '@kata-agent/tool-bundle/plan';
import { createDirectory } from '@kata-agent/tool-command/command-line';
import { listenExclusively } from '@kata-agent/tool-command/exclusive-socket';
import { guestNode } from './node/guest-node.js';
import { releasedNode } from './node/released-node.js';
import { imageNodeVersion } from './node/releases.js';
import { cached, dependencyOf, resolvePackages, unpackPackages } from './packages/packages.js';
import {
  imagePull,
  kernelPackage,
  optionalModules,
  otherParts,
  type Part,
  parts,
  rootfsPart,
  systemdPart,
} from './packages/parts.js';
import { builtAgent, copyBundle } from './program/built-agent.js';
import { cpioArchive, type Entry, type PartEntry } from './tree/archive.js';
import { bundleWrapper, guestTree, innerAddress, programs } from './tree/guest-tree.js';
import { type RootDisk, rootfsDisk, rootfsInitramfs } from './tree/rootfs.js';

/** The options of an image. */
export interface ImageRequest {
  /** The path on this machine of the configuration to put into the image. */
  readonly config?: string | undefined;
  /** Whether the agent requires a configuration to start. */
  readonly requireConfig?: boolean;
  /** Names of optional parts, and of optional modules. */
  readonly with?: readonly string[];
  /** Entries that are added to the image unchanged. */
  readonly files?: readonly Entry[];
  /** The compression level of zstd, up to 19; of a disk that of lz4hc, at most 12. */
  readonly level?: number;
  /** The path of an agent that this one is in front of; the image has systemd as init. */
  readonly innerAgent?: string | undefined;
  /** Builds a disk with dm-verity, and a small initramfs that opens it. */
  readonly rootfs?: boolean;
  /** The path of a Node.js to use instead of the pinned one. */
  readonly node?: string;
  /** The output directory. */
  readonly out: string;
  /** Prints a line about the progress. */
  readonly printProgress: (text: string) => void;
}

/** A file of an image. */
export interface Artifact {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The size of a part of an image. */
export interface PartSize {
  readonly part: string;
  readonly bytes: number;
  readonly files: number;
  /** The purpose of the part; undefined for entries that the caller added. */
  readonly reason: string | undefined;
}

/** A finished image. */
export interface Image {
  readonly kernel: Artifact;
  readonly initrd: Artifact;
  /** The disk of the root file system with its root hash, or empty. */
  readonly disks: readonly (Artifact & { readonly hash: string })[];
  readonly sizes: readonly PartSize[];
  /** The number of Debian packages. */
  readonly packages: number;
  /** The duration of the build, with one decimal. */
  readonly seconds: string;
}

/**
 * Writes an image to a directory: `vmlinuz`, `initrd`, with `rootfs` also `root.erofs`, and `manifest.json`,
 * which has the digests of packages, parts and files. Also writes `node`, the wrapper `kata-agent` and the
 * bundle `agent`, for adding the agent to other images. The same inputs give the same bytes.
 */
export async function buildImage({
  config,
  requireConfig = false,
  with: wanted = [],
  files = [],
  level = 19,
  rootfs = false,
  innerAgent,
  node,
  out,
  printProgress,
}: ImageRequest): Promise<Image> {
  const begin = Date.now();
  const selected = [...selectParts(wanted), ...(innerAgent === undefined ? [] : [systemdPart])];
  const cache = join(root, 'build', 'image-cache');
  // First, so that an invalid configuration is reported before anything is downloaded.
  if (innerAgent !== undefined) await requireForward(config);
  const facts = await planBundle({ file: config, requireConfig, embed: false });
  printProgress('looking up Debian packages');
  const kernelName = dependencyOf(kernelPackage);
  const names = [
    ...new Set([
      kernelName,
      ...[...selected, ...(rootfs ? [rootfsPart] : [])].flatMap(({ packages }) => packages),
    ]),
  ];
  const nodePath = node ?? releasedNode(imageNodeVersion, printProgress);
  const packages = unpackPackages(resolvePackages(names), join(cache, 'packages'), printProgress);
  const kernelFiles = packages.find(({ name }) => name === kernelName);
  if (kernelFiles === undefined) throw new Error(`${kernelName} was not unpacked`);
  const [release] = readdirSync(join(kernelFiles.directory, 'usr', 'lib', 'modules'));
  if (release === undefined) throw new Error(`${kernelName} has no modules`);

  printProgress('bundling the agent');
  const nodeDigest = sha256(readFileSync(nodePath));
  mkdirSync(out, { recursive: true });
  const pullsImages = wanted.includes(imagePull);
  const agent = await builtAgent(
    join(cache, 'agents'),
    { facts, pullsImages },
    { path: nodePath, sha256: nodeDigest },
  );
  const bundle = join(out, 'agent');
  copyBundle(agent.bundle, bundle);
  const nodeProgram = { path: nodePath, data: guestNode(nodePath, join(cache, 'programs'), printProgress) };

  printProgress('collecting files');
  const tree = guestTree({
    packages,
    parts: selected,
    kernel: {
      kernel: kernelFiles.directory,
      release,
      cache: join(cache, 'modules'),
      digest: kernelFiles.sha256,
    },
    nodeProgram,
    program: agent.files,
    koffi: join(bundle, 'node_modules'),
    config: config === undefined ? undefined : readFileSync(config),
    optional: wanted,
    innerAgent,
    files,
  });
  let archive = cpioArchive(tree);
  const content = sha256(archive);
  let disk: RootDisk | undefined;
  if (rootfs) {
    printProgress('building the root file system');
    disk = rootfsDisk(tree, content, cache, level);
    archive = cpioArchive(rootfsInitramfs(tree, disk.table, programs(packages, [rootfsPart])));
  }
  printProgress(`compressing ${(archive.length / 1e6).toFixed(0)} MB`);
  // Longer matches than zstd's default: 5 % more bytes, and the kernel unpacks them in a seventh less time.
  const settings = [`-${level}`, '--zstd=minMatch=5'];
  const compressed = cached(join(cache, 'initrd'), [sha256(archive), settings], '.zst', () =>
    // Several threads split the input by their number, so the bytes would depend on the machine.
    runForBytes('zstd', [...settings, '--single-thread', '-q', '-c'], { input: archive }),
  );
  const kernel = writeArtifact(
    join(out, 'vmlinuz'),
    readFileSync(join(kernelFiles.directory, 'boot', `vmlinuz-${release}`)),
  );
  writeArtifact(join(out, 'kata-agent'), bundleWrapper(), 0o755);
  writeArtifact(join(out, 'node'), nodeProgram.data, 0o755);
  const initrd = writeArtifact(join(out, 'initrd'), compressed);
  const disks =
    disk === undefined ? [] : [{ ...writeArtifact(join(out, 'root.erofs'), disk.disk), hash: disk.hash }];
  const [rootDisk] = disks;
  const manifest = {
    kernel: kernel.sha256,
    initrd: initrd.sha256,
    ...(rootDisk === undefined ? {} : { root: rootDisk.sha256, rootHash: rootDisk.hash }),
    content,
    ...(facts.sourceTime === undefined ? {} : { sourceTime: facts.sourceTime }),
    node: run(nodePath, ['--version']).trim(),
    nodeProgram: nodeDigest,
    parts: digestsByPart(tree),
    packages: packages.map(({ file, sha256: digest }) => `${file} ${digest}`),
  };
  writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  return { kernel, initrd, disks, sizes: sizesByPart(tree), packages: packages.length, seconds };
}

/** Throws unless the configuration names the socket at which the image starts the inner agent. */
async function requireForward(config: string | undefined): Promise<void> {
  const forward = config === undefined ? undefined : await forwardOf(config);
  if (forward === innerAddress) return;
  const what = config === undefined ? '--config is missing' : `${config} has ${forward ?? 'no forward'}`;
  throw new Error(
    `--inner-agent: ${what}, and the inner agent would not be used\nhelp: set forward = "${innerAddress}" in [agent]`,
  );
}

function selectParts(wanted: readonly string[]): readonly Part[] {
  const known = [
    ...parts.filter(({ optional }) => optional).map(({ name }) => name),
    ...optionalModules.keys(),
  ];
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`--with ${unknown}: unknown part\nhelp: use one of ${known.join(', ')}`);
  const selected = parts.filter(({ name, optional }) => !optional || wanted.includes(name));
  const replaced = new Set(selected.map(({ replaces }) => replaces));
  return selected.filter(({ name }) => !replaced.has(name));
}

function writeArtifact(path: string, data: Buffer, mode = 0o644): Artifact {
  writeFileSync(`${path}.new`, data, { mode });
  renameSync(`${path}.new`, path);
  return { path, bytes: data.length, sha256: sha256(data) };
}

function sizesByPart(tree: readonly PartEntry[]): readonly PartSize[] {
  const sizes = new Map<string, { readonly bytes: number; readonly files: number }>();
  for (const { part, data } of tree) {
    if (data === undefined) continue;
    const { bytes, files } = sizes.get(part) ?? { bytes: 0, files: 0 };
    sizes.set(part, { bytes: bytes + data.length, files: files + 1 });
  }
  const reasons = new Map([...parts, systemdPart, ...otherParts].map(({ name, reason }) => [name, reason]));
  return [...sizes]
    .map(([part, size]) => ({ part, ...size, reason: reasons.get(part) }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Returns the digest of each part's entries, to compare two images part by part. */
export function digestsByPart(tree: readonly PartEntry[]): Readonly<Record<string, string>> {
  const names = [...new Set(tree.map(({ part }) => part))].sort((a, b) => (a < b ? -1 : 1));
  const digestOf = (name: string): string => sha256(cpioArchive(tree.filter(({ part }) => part === name)));
  return Object.fromEntries(names.map((name) => [name, digestOf(name)]));
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

// Locks an output directory: two concurrent builds would leave the initramfs of one and the manifest of the other.

/**
 * Locks a directory for this process and returns a function that unlocks it. Throws if another build of this
 * checkout has locked it. The socket is below build/, because not every file system supports sockets.
 */
export async function lockOutputDirectory(out: string): Promise<() => void> {
  const descriptor = openSync(createDirectory('build/image-cache', join(root, 'build', 'image-cache')), 'r');
  const server = createServer((socket) => socket.destroy());
  const name = createHash('sha256').update(realpathSync(out)).digest('hex').slice(0, 16);
  // The path through the descriptor is short: the path of a socket has at most 107 bytes.
  if (!(await listenExclusively(server, `/proc/self/fd/${descriptor}/${name}.out`))) {
    closeSync(descriptor);
    throw new Error(
      `another npm run image writes to ${out}\nhelp: wait until it ends, or use another directory with --out`,
    );
  }
  return () => {
    server.close();
    closeSync(descriptor);
  };
}
