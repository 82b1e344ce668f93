// The files of a guest, as entries of an archive, each with the part that it belongs to.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { architecture } from '../image/architecture.mjs';
import { agentNodeOptions } from '../image/node-releases.mjs';
import { bootModules, lateModules, loopbackModule, otherModules } from '../image/parts.mjs';
import { moduleFiles } from './image-modules.mjs';
import { run } from './image-packages.mjs';
import { firstFile } from './image-program.mjs';
import { wrapperProgram } from './image-wrapper.mjs';

const libraryFolders = [`/usr/lib/${architecture.triplet}`, '/usr/lib', '/usr/lib64'];
const node = '/usr/bin/node';
const home = '/usr/lib/kata-agent';

/** The wrapper, where Kata has its agent. */
const agentPath = '/usr/bin/kata-agent';

/** The wrapper for an image that somebody else made, and that has the bundle (docs/existing-image.md). */
export function bundleWrapper() {
  return wrapperProgram([node, ...agentNodeOptions, join(home, 'kata-agent.mjs')]);
}

/** Folders that are empty in the image, for what is mounted or written there. */
const emptyFolders = ['/proc', '/sys', '/dev', '/run', '/tmp', '/root', '/var', '/etc/kata-agent', '/.root'];

/** A guest has its programs below /usr, and these names for them. */
const merged = {
  '/bin': 'usr/bin',
  '/sbin': 'usr/sbin',
  '/lib': 'usr/lib',
  '/lib64': 'usr/lib64',
  // The name that programs have for their loader.
  [architecture.loader.path]: architecture.loader.link,
};

/** All entries. `nodeProgram` is Node.js: `path` where it is whole, `data` as the guest has it. `agentArguments` follow the agent's program in the wrapper, and nothing else ever does. */
export function guestTree({
  packages,
  parts,
  kernel,
  nodeProgram,
  program,
  koffi,
  config,
  loopback,
  agentArguments,
  files,
}) {
  const tree = new Map();
  const add = (entry) => tree.set(entry.path, entry);
  for (const path of emptyFolders) add({ path, directory: true, part: 'folders' });
  for (const [path, link] of Object.entries(merged)) add({ path, link, part: 'folders' });
  // The kernel opens the console for its first process; Node opens the other where a descriptor is missing.
  add({ path: '/dev/console', device: [5, 1], mode: 0o600, part: 'folders' });
  add({ path: '/dev/null', device: [1, 3], mode: 0o666, part: 'folders' });

  addPrograms(add, packages, parts, nodeProgram.path);
  add({ path: node, data: nodeProgram.data, mode: 0o755, part: 'node' });
  for (const [name, data] of Object.entries(program))
    add({ path: join(home, name), data, mode: 0o644, part: 'agent' });
  for (const name of filesForGlibc(koffi)) {
    const data = readFileSync(join(koffi, name));
    add({ path: join(home, 'node_modules', name), data, mode: 0o644, part: 'agent' });
  }
  const wrapper = wrapperProgram([node, ...agentNodeOptions, join(home, firstFile), ...agentArguments]);
  add({ path: agentPath, data: wrapper, mode: 0o755, part: 'agent' });
  add({ path: '/init', link: 'usr/bin/kata-agent', part: 'agent' });
  add({ path: '/usr/sbin/init', link: '../bin/kata-agent', part: 'agent' });

  const boot = [...bootModules, ...(loopback ? [loopbackModule] : [])];
  for (const file of moduleFiles(kernel, [...boot, ...lateModules, ...otherModules]))
    add({ ...file, part: 'modules' });
  const lists = {
    '/etc/modules-load.d/kata-agent.conf': boot,
    '/etc/kata-agent/late-modules.conf': lateModules,
  };
  for (const [path, names] of Object.entries(lists))
    add({ path, data: Buffer.from(`${names.join('\n')}\n`), mode: 0o644, part: 'modules' });
  add({
    path: '/etc/passwd',
    data: Buffer.from('root:x:0:0:root:/root:/bin/sh\n'),
    mode: 0o644,
    part: 'folders',
  });
  add({ path: '/etc/group', data: Buffer.from('root:x:0:\ntty:x:5:\n'), mode: 0o644, part: 'folders' });
  if (config !== undefined)
    add({ path: '/etc/kata-agent/config.toml', data: config, mode: 0o644, part: 'configuration' });
  for (const file of files) add({ mode: 0o644, ...file, part: 'added' });
  return [...tree.values()];
}

function addPrograms(add, packages, parts, nodePath) {
  const start = [{ path: node, needs: neededBy(nodePath) }];
  for (const entry of programs(packages, parts, start)) add(entry);
}

/** The files of these parts, and the libraries that they, and what is in `start`, are linked with. */
export function programs(packages, parts, start = []) {
  const find = finder(packages);
  const found = [];
  const queue = [...start];
  for (const { name, files, links = {} } of parts) {
    for (const path of files.flatMap(expand)) {
      const file = find(path);
      if (file === undefined) continue; // Some extensions of iptables have one of two names.
      found.push({ path, data: file.data, mode: file.mode, part: name });
      if (isElf(file.data)) queue.push({ path, needs: neededBy(file.real) });
    }
    for (const [path, link] of Object.entries(links)) found.push({ path, link, part: name });
  }
  const done = new Set();
  for (const { path, needs } of queue) {
    for (const library of needs) {
      if (done.has(library)) continue;
      done.add(library);
      const at = libraryFolders.map((folder) => join(folder, library)).find((one) => find(one));
      if (at === undefined)
        throw new Error(`${library}, which ${path} needs, is in no package of image/parts.mjs`);
      const file = find(at);
      found.push({ path: at, data: file.data, mode: 0o755, part: 'libraries' });
      queue.push({ path: at, needs: neededBy(file.real) });
    }
  }
  return found;
}

/** Looks a path up in the unpacked packages, links followed as in a merged /usr; throws for none of its package's files. */
function finder(packages) {
  const look = (path, depth = 0) => {
    const tail = path.startsWith('/usr/') ? path.slice(4) : path;
    for (const { folder } of packages) {
      for (const candidate of [join(folder, 'usr', tail), join(folder, tail)]) {
        const stat = lstatSync(candidate, { throwIfNoEntry: false });
        if (stat?.isFile())
          return { real: candidate, data: readFileSync(candidate), mode: stat.mode & 0o755 };
        if (stat?.isSymbolicLink() && depth < 8) {
          const link = readlinkSync(candidate);
          return look(link.startsWith('/') ? link : normalize(join(dirname(path), link)), depth + 1);
        }
      }
    }
    return undefined;
  };
  return look;
}

/** `lib{a,b}.so` is two names. */
function expand(path) {
  const [, head, choices, tail] = /^(.*)\{(.*)\}(.*)$/.exec(path) ?? [];
  return choices === undefined ? [path] : choices.split(',').map((one) => `${head}${one}${tail}`);
}

function isElf(data) {
  return data.subarray(0, 4).toString('latin1') === '\x7fELF';
}

/** The names of libraries that a program is linked with, its interpreter among them. */
function neededBy(path) {
  const text = run('readelf', ['-W', '-d', '-l', path]);
  const libraries = [...text.matchAll(/\(NEEDED\)\s+Shared library: \[(.+)\]/g)].map(([, name]) => name);
  const interpreter = /Requesting program interpreter: .*\/([^/\]]+)\]/.exec(text)?.[1];
  return interpreter === undefined ? libraries : [...libraries, interpreter];
}

/** koffi, and of its libraries the one for Debian's C library. */
function filesForGlibc(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('musl_') && !entry.name.startsWith('LICENSE'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort();
}
