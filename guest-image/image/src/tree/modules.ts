// Collects kernel modules with their dependencies, and writes the two index files that modprobe reads.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runForBytes } from '@kata-agent/setup/run-program';
import { cached } from '../packages/packages.js';
import type { FileEntry } from './archive.js';

/** The unpacked kernel of an image. */
export interface KernelFiles {
  /** The directory of the unpacked package. */
  readonly kernel: string;
  /** The release, as `uname -r` prints it. */
  readonly release: string;
  /** The directory for decompressed modules. */
  readonly cache: string;
  /** The digest of the package, as part of the cache key. */
  readonly digest: string;
}

interface ModuleInfo {
  readonly depends: readonly string[];
  readonly alias: readonly string[];
}

interface Module extends ModuleInfo {
  readonly path: string;
  readonly data: Buffer;
}

/**
 * Returns the files below /usr/lib/modules/RELEASE for these modules and their dependencies. Modules that the
 * kernel has built in are skipped. Throws for an unknown module.
 */
export function moduleFiles(
  { kernel, release, cache, digest }: KernelFiles,
  names: readonly string[],
): readonly FileEntry[] {
  const modulesDirectory = join(kernel, 'usr', 'lib', 'modules', release);
  const index = new Map(
    readdirSync(join(modulesDirectory, 'kernel'), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.ko(\.xz)?$/.test(path))
      .map((path) => [moduleName(path), path]),
  );
  const builtIn = builtInNames(modulesDirectory);
  const read = (path: string): Buffer =>
    cached(cache, [digest, path], '.ko', () =>
      path.endsWith('.xz')
        ? runForBytes('xz', ['-dc', join(modulesDirectory, 'kernel', path)])
        : readFileSync(join(modulesDirectory, 'kernel', path)),
    );
  const wanted = new Map<string, Module>();
  const add = (name: string): void => {
    if (wanted.has(name)) return;
    const path = index.get(name);
    if (path === undefined) {
      if (builtIn.has(name)) return;
      throw new Error(`kernel ${release} has no module ${name}`);
    }
    const data = read(path);
    const info = moduleInfo(data);
    wanted.set(name, { path: `kernel/${path.replace(/\.xz$/, '')}`, data, ...info });
    for (const dependency of info.depends) add(dependency);
  };
  for (const name of names) add(name.replaceAll('-', '_'));
  const modules = [...wanted.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return [
    ...modules.map(({ path, data }) => ({ path, data })),
    { path: 'modules.dep', data: Buffer.from(dependencies(modules, wanted)) },
    { path: 'modules.alias', data: Buffer.from(aliases(modules)) },
  ].map(({ path, data }) => ({ path: `/usr/lib/modules/${release}/${path}`, data, mode: 0o644 }));
}

function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');
}

function builtInNames(modulesDirectory: string): ReadonlySet<string> {
  return new Set(readFileSync(join(modulesDirectory, 'modules.builtin'), 'utf8').split('\n').map(moduleName));
}

/** Reads the NUL-terminated `name=value` strings of the .modinfo section. */
function moduleInfo(data: Buffer): ModuleInfo {
  const text = data.toString('latin1');
  const all = (key: string): readonly string[] =>
    [...text.matchAll(new RegExp(`(?<=\\0)${key}=([^\\0]*)\\0`, 'g'))].map(([, value = '']) => value);
  const depends = (all('depends')[0] ?? '').split(',').filter((name) => name !== '');
  return { depends: depends.map((name) => name.replaceAll('-', '_')), alias: all('alias') };
}

/**
 * Returns the content of modules.dep: each file, with all files that it needs. modprobe loads them from last to
 * first.
 */
function dependencies(modules: readonly Module[], wanted: ReadonlyMap<string, Module>): string {
  const needs = (names: readonly string[], seen: Set<Module>): ReadonlySet<Module> => {
    for (const name of names) {
      const needed = wanted.get(name);
      if (needed === undefined || seen.has(needed)) continue;
      needs(needed.depends, seen);
      seen.add(needed);
    }
    return seen;
  };
  return modules
    .map(({ path, depends }) =>
      `${path}: ${[...needs(depends, new Set())]
        .reverse()
        .map((needed) => needed.path)
        .join(' ')}`.trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function aliases(modules: readonly Module[]): string {
  return modules
    .flatMap(({ path, alias }) => alias.map((one) => `alias ${one} ${moduleName(path)}\n`))
    .join('');
}
