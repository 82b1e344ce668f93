// Collects the files of a guest, each with the part that it belongs to.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { namedPaths, pathInRoot } from '@kata-agent/config';
import { architecture } from '@kata-agent/setup/architecture';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { agentFile } from '@kata-agent/tool-bundle/code-cache';
import { agentNodeOptions } from '@kata-agent/tool-bundle/node-options';
import type { UnpackedPackage } from '../packages/packages.js';
import {
  bootModules,
  lateModules,
  optionalModules,
  otherModules,
  type PackageFiles,
} from '../packages/parts.js';
import { wrapperProgram } from '../program/wrapper.js';
import type { Entry, FileEntry, PartEntry } from './archive.js';
import { type KernelFiles, moduleFiles } from './modules.js';

/** The inputs of a guest's file system. */
export interface GuestContents {
  readonly packages: readonly UnpackedPackage[];
  /** The files of the packages to include. */
  readonly parts: readonly PackageFiles[];
  readonly kernel: KernelFiles;
  /** Node.js: the path of the complete program, and the bytes of the reduced one. */
  readonly nodeProgram: { readonly path: string; readonly data: Buffer };
  /** The agent's files, by name. */
  readonly program: ReadonlyMap<string, Buffer>;
  /** The path of a node_modules directory with koffi. */
  readonly koffi: string;
  readonly config?: Buffer | undefined;
  /** Names of `--with`; those of optional modules add them. */
  readonly optional: readonly string[];
  /** The path of an agent that this one is in front of, with systemd as init; undefined: this agent is init. */
  readonly innerAgent?: string | undefined;
  /** Entries that are added unchanged. */
  readonly files: readonly Entry[];
}

/** A program or library, and the names of the libraries that it is linked with. */
interface LinkedFile {
  readonly path: string;
  readonly needs: readonly string[];
}

/** A file of an unpacked package. */
interface PackageFile {
  /** The path on this machine, after links were followed. */
  readonly unpackedPath: string;
  readonly data: Buffer;
  readonly mode: number;
}

const libraryDirectories = [
  `/usr/lib/${architecture.triplet}`,
  // Only systemd's programs name this one, in their headers.
  `/usr/lib/${architecture.triplet}/systemd`,
  '/usr/lib',
  '/usr/lib64',
];

const node = '/usr/bin/node';

const agentDirectory = '/usr/lib/kata-agent';

/** The path of the wrapper, the same as of Kata's agent. */
const agentPath = '/usr/bin/kata-agent';

/** Returns the wrapper for an existing image to which the bundle was added (docs/existing-image.md). */
export function bundleWrapper(): Buffer {
  return wrapperProgram([node, ...agentNodeOptions, join(agentDirectory, agentFile)]);
}

/** Empty directories for mounts and for files written at run time. */
const emptyDirectories = [
  '/proc',
  '/sys',
  '/dev',
  '/run',
  '/tmp',
  '/root',
  '/var',
  '/etc/kata-agent',
  '/.root',
];

/** Links to the directories below /usr, and to the dynamic loader, by path. */
const mergedUsrLinks = {
  '/bin': 'usr/bin',
  '/sbin': 'usr/sbin',
  '/lib': 'usr/lib',
  '/lib64': 'usr/lib64',
  // The path of the loader in the headers of programs.
  [architecture.loader.path]: architecture.loader.link,
};

/** Returns all entries of a guest. */
export function guestTree({
  packages,
  parts,
  kernel,
  nodeProgram,
  program,
  koffi,
  config,
  optional,
  innerAgent,
  files,
}: GuestContents): readonly PartEntry[] {
  const tree = new Map<string, PartEntry>();
  const add: Add = (entry) => void tree.set(entry.path, entry);
  for (const path of emptyDirectories) add({ path, directory: true, part: 'directories' });
  for (const [path, link] of Object.entries(mergedUsrLinks)) add({ path, link, part: 'directories' });
  // The kernel opens /dev/console for the first process; Node.js opens /dev/null if one of descriptors 0 to 2
  // is closed.
  add({ path: '/dev/console', device: [5, 1], mode: 0o600, part: 'directories' });
  add({ path: '/dev/null', device: [1, 3], mode: 0o666, part: 'directories' });

  addPrograms(add, packages, parts, [nodeProgram.path, ...(innerAgent === undefined ? [] : [innerAgent])]);
  add({ path: node, data: nodeProgram.data, mode: 0o755, part: 'node' });
  for (const [name, data] of program)
    add({ path: join(agentDirectory, name), data, mode: 0o644, part: 'agent' });
  for (const name of filesForGlibc(koffi)) {
    const data = readFileSync(join(koffi, name));
    add({ path: join(agentDirectory, 'node_modules', name), data, mode: 0o644, part: 'agent' });
  }
  const wrapper = wrapperProgram([node, ...agentNodeOptions, join(agentDirectory, agentFile)]);
  add({ path: agentPath, data: wrapper, mode: 0o755, part: 'agent' });
  add({ path: '/init', link: 'usr/bin/kata-agent', part: 'agent' });
  add({ path: '/usr/sbin/init', link: '../bin/kata-agent', part: 'agent' });

  const added = optional.flatMap((name) => optionalModules.get(name) ?? []);
  const boot = [...bootModules, ...added.flatMap((each) => each.boot)];
  const late = [...lateModules, ...added.flatMap((each) => each.late)];
  for (const file of moduleFiles(kernel, [...boot, ...late, ...otherModules]))
    add({ ...file, part: 'modules' });
  const moduleLists = {
    '/etc/modules-load.d/kata-agent.conf': boot,
    '/etc/kata-agent/late-modules.conf': late,
  };
  for (const [path, names] of Object.entries(moduleLists))
    add({ path, data: Buffer.from(`${names.join('\n')}\n`), mode: 0o644, part: 'modules' });
  add({
    path: '/etc/passwd',
    data: Buffer.from('root:x:0:0:root:/root:/bin/sh\n'),
    mode: 0o644,
    part: 'directories',
  });
  add({ path: '/etc/group', data: Buffer.from('root:x:0:\ntty:x:5:\n'), mode: 0o644, part: 'directories' });
  if (innerAgent !== undefined)
    for (const entry of innerAgentFiles(innerAgent)) add({ ...entry, part: 'inner-agent' });
  if (config !== undefined)
    add({ path: '/etc/kata-agent/config.toml', data: config, mode: 0o644, part: 'configuration' });
  for (const file of files) add({ ...file, part: 'added' });
  return [...tree.values()];
}

type Add = (entry: PartEntry) => void;

function addPrograms(
  add: Add,
  packages: readonly UnpackedPackage[],
  parts: readonly PackageFiles[],
  others: readonly string[],
): void {
  const start = others
    .filter((path) => isElf(readFileSync(path)))
    .map((path) => ({ path, needs: neededLibraries(path) }));
  for (const entry of programs(packages, parts, start)) add(entry);
}

/**
 * Returns the files and links of these parts, and the libraries that they and the files in `start` are linked
 * with.
 */
export function programs(
  packages: readonly UnpackedPackage[],
  parts: readonly PackageFiles[],
  start: readonly LinkedFile[] = [],
): readonly PartEntry[] {
  const find = finder(packages);
  const found: PartEntry[] = [];
  const queue = [...start];
  for (const { name, files, links = {} } of parts) {
    for (const path of files.flatMap(expandBraces)) {
      const file = find(path);
      // An extension of iptables exists under one of two names.
      if (file === undefined) continue;
      found.push({ path, data: file.data, mode: file.mode, part: name });
      if (isElf(file.data)) queue.push({ path, needs: neededLibraries(file.unpackedPath) });
    }
    for (const [path, link] of Object.entries(links)) found.push({ path, link, part: name });
  }
  const done = new Set<string>();
  for (const { path, needs } of queue) {
    for (const library of needs) {
      if (done.has(library)) continue;
      done.add(library);
      const [at, file] = findFirst(
        libraryDirectories.map((directory) => join(directory, library)),
        find,
      );
      if (at === undefined || file === undefined)
        throw new Error(
          `${path} needs ${library}, which is in no package of guest-image/image/src/packages/parts.ts`,
        );
      found.push({ path: at, data: file.data, mode: 0o755, part: 'libraries' });
      queue.push({ path: at, needs: neededLibraries(file.unpackedPath) });
    }
  }
  return found;
}

/** Returns the first path that a package has, with its file, or an empty tuple. */
function findFirst(
  paths: readonly string[],
  find: (path: string) => PackageFile | undefined,
): readonly [path: string, file: PackageFile] | readonly [] {
  for (const path of paths) {
    const file = find(path);
    if (file !== undefined) return [path, file];
  }
  return [];
}

/** Returns a function that finds a path in the packages, and follows links as in a system with merged /usr. */
function finder(packages: readonly UnpackedPackage[]): (path: string) => PackageFile | undefined {
  const find = (path: string, depth = 0): PackageFile | undefined => {
    const tail = path.startsWith('/usr/') ? path.slice(4) : path;
    for (const { directory } of packages) {
      for (const candidate of [join(directory, 'usr', tail), join(directory, tail)]) {
        const stat = lstatSync(candidate, { throwIfNoEntry: false });
        if (stat?.isFile())
          return { unpackedPath: candidate, data: readFileSync(candidate), mode: stat.mode & 0o755 };
        if (stat?.isSymbolicLink() && depth < 8) {
          const link = readlinkSync(candidate);
          return find(link.startsWith('/') ? link : normalize(join(dirname(path), link)), depth + 1);
        }
      }
    }
    return undefined;
  };
  return (path) => find(path);
}

/** Expands `lib{a,b}.so` into two names. */
function expandBraces(path: string): readonly string[] {
  const [, head, choices, tail] = /^(.*)\{(.*)\}(.*)$/.exec(path) ?? [];
  return choices === undefined ? [path] : choices.split(',').map((one) => `${head}${one}${tail}`);
}

function isElf(data: Buffer): boolean {
  return data.subarray(0, 4).toString('latin1') === '\x7fELF';
}

/** Returns the names of the libraries that a file is linked with, and of its interpreter. */
function neededLibraries(path: string): readonly string[] {
  const text = run('readelf', ['-W', '-d', '-l', path]);
  const libraries = [...text.matchAll(/\(NEEDED\)\s+Shared library: \[(.+)\]/g)].map(([, name = '']) => name);
  const interpreter = /Requesting program interpreter: .*\/([^/\]]+)\]/.exec(text)?.[1];
  return interpreter === undefined ? libraries : [...libraries, interpreter];
}

/** Returns the paths of koffi's files without the library for musl and the licence. */
function filesForGlibc(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('musl_') && !entry.name.startsWith('LICENSE'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(directory.length + 1))
    .sort();
}

/**
 * Returns the files that a configuration names, read below `guestRoot`. Throws an Error with a remedy if one is not there.
 */
export function namedFiles(config: string | undefined, guestRoot: string | undefined): readonly FileEntry[] {
  if (config === undefined) return [];
  return namedPaths(readFileSync(config)).map(({ key, file }) => {
    if (guestRoot === undefined)
      throw new Error(
        `${config}: ${key} names ${file}, which the image needs\nhelp: pass --root DIR, with the file at DIR${file}`,
      );
    // The agent rejects a file that others can write, and needs no other mode.
    return { path: file, data: read(guestRoot, file, key), mode: 0o600 };
  });
}

function read(guestRoot: string, file: string, key: string): Buffer {
  try {
    return readFileSync(pathInRoot(guestRoot, file));
  } catch (error) {
    throw new Error(`${key}: cannot read ${file} below ${guestRoot}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The address of the inner agent in image/systemd/forward/agent.toml. */
export const innerAddress = 'unix:///run/kata-agent-inner/agent.sock';

const unitDirectory = '/usr/lib/systemd/system';

const initScript = '/usr/lib/kata-agent/systemd-init.sh';

// An image with another agent, which this one is in front of (docs/forward-mode.md): systemd is init, and starts both.

/** Returns the inner agent, its file, the units of image/systemd, and the first program. */
function innerAgentFiles(program: string): readonly Entry[] {
  const file = (path: string, name: string, mode = 0o644): Entry => ({
    path,
    data: readFileSync(join(root, 'image', 'systemd', name)),
    mode,
  });
  return [
    { path: '/usr/bin/kata-agent-inner', data: readFileSync(program), mode: 0o755 },
    file('/etc/kata-agent-inner/agent.toml', 'forward/agent.toml'),
    file(`${unitDirectory}/kata-agent-inner.service`, 'forward/kata-agent-inner.service'),
    file(`${unitDirectory}/kata-agent.service.d/forward.conf`, 'forward/forward.conf'),
    file(`${unitDirectory}/kata-agent.service`, 'kata-agent.service'),
    file(`${unitDirectory}/kata-containers.target`, 'kata-containers.target'),
    file(initScript, 'init.sh'),
    // As of the agent: no parameter of the kernel command line is in the environment of the script.
    ...['/init', '/usr/sbin/init'].map((path) => ({
      path,
      data: wrapperProgram(['/usr/bin/busybox', 'sh', initScript]),
      mode: 0o755,
    })),
    // With a read-only root systemd mounts another one over it.
    { path: '/etc/machine-id', data: Buffer.alloc(0), mode: 0o444 },
    // The programs of the units.
    ...['env', 'sync'].map((name): Entry => ({ path: `/usr/bin/${name}`, link: 'busybox' })),
  ];
}
