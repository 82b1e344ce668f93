import { posix } from 'node:path';
import { loopFileFaults, threadModules } from './loop-files.js';

/** The table of the tasks that wait for the host, in agent/guest/src. */
const tasks = 'media-thread/tasks.ts';

/** Modules that run tasks. */
const runners: ReadonlySet<string> = new Set(['media-thread/thread.ts', 'media-thread/direct-media.ts']);

/** Functions of @kata-agent/linux that may wait for the host, if they are called for its share, its disks or its network. */
const ofLinux: ReadonlySet<string> = new Set([
  'Rtnetlink',
  'createMappedDevice',
  'detachMount',
  'detachMountHere',
  'graftMount',
  'mount',
  'readFirstBlock',
  'unmountTree',
]);

/** Modules that call one of these functions nevertheless, and why they do not wait. */
const exceptions: ReadonlyMap<string, readonly string[]> = new Map([
  // Memory.
  ['storage/writable-layer.ts', ['mount']],
  ['source/memory-copies.ts', ['mount']],
  ['image/own-root.ts', ['mount']],
  // In a directory of the agent: memory, or a disk that is released by descriptor later.
  ['confidential/mount-directory.ts', ['unmountTree']],
  ['image/store/stored-image.ts', ['unmountTree']],
  // Copies that were detached, whose file systems others hold.
  ['source/pod-sources.ts', ['unmountTree']],
  ['removal/unmount.ts', ['detachMount']],
  // debugfs.
  ['memory-agent/generations.ts', ['mount']],
  // The agent's own directories.
  ['removal/remove-tree.ts', ['removeAt', 'renameAt']],
]);

interface Imported {
  /** Of agent/guest/src, or a package. */
  readonly module: string;
  readonly names: readonly string[];
}

/**
 * Returns each use of a function that waits for the host outside its threads.
 *
 * @param files the modules of agent/guest/src by path, without tests.
 */
export function hostMediaFaults(files: ReadonlyMap<string, string>): readonly string[] {
  const waiting = new Map<string, Set<string>>();
  for (const { module, names } of importsOf(tasks, files.get(tasks) ?? ''))
    if (files.has(module)) waiting.set(module, new Set(names));
  if (waiting.size === 0) return [`${tasks} imports nothing: the check is blind`];
  const faults: string[] = [];
  const used = new Set<string>();
  const imports = new Map([...files].map(([path, text]) => [path, importsOf(path, text)]));
  const entries = [tasks, ...runners, ...waiting.keys()];
  const ofThreads = threadModules(imports, entries);
  for (const [path, imported] of imports) {
    // A module of the threads may use another one, and it calls linux for the host's files.
    if (ofThreads.has(path)) continue;
    for (const { module, names } of imported) {
      const restricted = module === '@kata-agent/linux' ? ofLinux : waiting.get(module);
      for (const name of names.filter((each) => restricted?.has(each))) {
        if (exceptions.get(path)?.includes(name) === true) used.add(`${path} ${name}`);
        else
          faults.push(
            `agent/guest/src/${path} calls ${name}, which may wait for the host; help: run it as a task of agent/guest/src/${tasks}`,
          );
      }
    }
  }
  for (const [path, names] of exceptions)
    for (const name of names)
      if (files.has(path) && !used.has(`${path} ${name}`))
        faults.push(`agent/guest/src/${path} no longer calls ${name}; help: remove the exception`);
  // The functions that tasks use are restricted by name above.
  return [...faults, ...loopFileFaults(imports, entries)];
}

/** Returns the imports of values. */
function importsOf(path: string, text: string): readonly Imported[] {
  return [...text.matchAll(/^import \{([^}]*)\} from '([^']+)';/gm)].map(([, names = '', module = '']) => ({
    module: module.startsWith('.') ? posix.join(posix.dirname(path), module.replace(/\.js$/, '.ts')) : module,
    names: names
      .split(',')
      .map((name) => name.trim().split(' as ')[0] ?? '')
      .filter((name) => name !== '' && !name.startsWith('type ')),
  }));
}
