// Kernel modules: those asked for, those that they need, and the two index files that modprobe reads.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, run } from './image-packages.mjs';

/**
 * Files below /usr/lib/modules/RELEASE for these names. A name that is no module is left out when the kernel has it built
 * in, and an error otherwise.
 */
export function moduleFiles({ kernel, release, cache, digest }, names) {
  const below = join(kernel, 'usr', 'lib', 'modules', release);
  const index = new Map(
    readdirSync(join(below, 'kernel'), { recursive: true })
      .filter((path) => /\.ko(\.xz)?$/.test(path))
      .map((path) => [moduleName(path), path]),
  );
  const builtIn = builtInNames(below);
  const read = (path) =>
    cached(cache, [digest, path], '.ko', () =>
      path.endsWith('.xz')
        ? run('xz', ['-dc', join(below, 'kernel', path)], { encoding: 'buffer' })
        : readFileSync(join(below, 'kernel', path)),
    );
  const wanted = new Map();
  const add = (name) => {
    if (wanted.has(name)) return;
    const path = index.get(name);
    if (path === undefined) {
      if (builtIn.has(name)) return;
      throw new Error(`the kernel ${release} has no module ${name}`);
    }
    const data = read(path);
    const info = moduleInfo(data);
    wanted.set(name, { path: `kernel/${path.replace(/\.xz$/, '')}`, data, ...info });
    for (const dependency of info.depends) add(dependency);
  };
  for (const name of names) add(name.replaceAll('-', '_'));
  const modules = [...wanted.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const pathOf = (name) => wanted.get(name)?.path;
  return [
    ...modules.map(({ path, data }) => ({ path, data })),
    { path: 'modules.dep', data: Buffer.from(dependencies(modules, pathOf, wanted)) },
    { path: 'modules.alias', data: Buffer.from(aliases(modules)) },
  ].map(({ path, data }) => ({ path: `/usr/lib/modules/${release}/${path}`, data, mode: 0o644 }));
}

function moduleName(path) {
  return path
    .split('/')
    .at(-1)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');
}

function builtInNames(below) {
  return new Set(readFileSync(join(below, 'modules.builtin'), 'utf8').split('\n').map(moduleName));
}

/** The texts `name=value` of the section .modinfo, each ended by a NUL. */
function moduleInfo(data) {
  const text = data.toString('latin1');
  const all = (key) =>
    [...text.matchAll(new RegExp(`(?<=\\0)${key}=([^\\0]*)\\0`, 'g'))].map(([, value]) => value);
  const depends = (all('depends')[0] ?? '').split(',').filter((name) => name !== '');
  return { depends: depends.map((name) => name.replaceAll('-', '_')), alias: all('alias') };
}

/** modules.dep: of each file all files that it needs. modprobe loads them from the last to the first. */
function dependencies(modules, pathOf, wanted) {
  const needs = (names, seen) => {
    for (const name of names) {
      if (seen.has(name) || !wanted.has(name)) continue;
      needs(wanted.get(name).depends, seen);
      seen.add(name);
    }
    return seen;
  };
  return modules
    .map(({ path, depends }) =>
      `${path}: ${[...needs(depends, new Set())].reverse().map(pathOf).join(' ')}`.trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function aliases(modules) {
  return modules
    .flatMap(({ path, alias }) => alias.map((one) => `alias ${one} ${moduleName(path)}\n`))
    .join('');
}
