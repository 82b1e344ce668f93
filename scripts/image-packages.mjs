// Debian packages, downloaded once and unpacked, not installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianRelease } from './prerequisites.mjs';
import { aptSources, faultText, patiently } from './registry.mjs';

/** Runs a program to its end and answers its stdout, in English; throws with what it said when it fails. */
export function run(command, args, options = {}) {
  const env = { ...process.env, LC_ALL: 'C' };
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 256 << 20, env, ...options });
  if (result.error?.code === 'ENOENT')
    throw new Error(
      `${command}: there is no such program in PATH (images are made on Debian, of its packages)`,
    );
  if (result.error !== undefined) throw new Error(`${command}: ${result.error.message}`);
  if (result.signal !== null) throw new Error(`${command}: ended by ${result.signal}`);
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${String(result.stderr || result.stdout).trim()}`);
  return result.stdout;
}

/** The package that a package without files stands for: the kernel of today, of `linux-image-cloud-amd64`. */
export function dependencyOf(name) {
  const depends = /^Depends: ([^ ,]+)/m.exec(run('apt-cache', ['show', '--no-all-versions', name]))?.[1];
  if (depends === undefined) throw new Error(`${name} depends on no package: is apt-get update due?`);
  return depends;
}

/** Debian 13 renamed libraries when time_t got 64 bits on 32-bit processors; image/parts.mjs has those names. */
export function packageNameIn(release, name) {
  return release === '12' ? name.replace(/t64$/, '') : name;
}

/**
 * The files that the package manager would fetch for these names now: file name, SHA-256 and address of each, in order.
 * What is fetched is compared with that digest, which apt has from the archive's signed lists.
 */
export function resolvePackages(wanted) {
  const names = wanted.map((name) => packageNameIn(debianRelease(), name));
  const printed = run('apt-get', ['download', '--print-uris', ...new Set(names)]);
  const found = printed
    .split('\n')
    .map((line) => /^'([^']+)' (\S+) \d+ SHA256:([0-9a-f]{64})$/.exec(line))
    .filter((match) => match !== null)
    .map(([, uri, file, sha256]) => ({ name: file.split('_')[0], file, sha256, uri }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const missing = names.filter((name) => !found.some((one) => one.name === name));
  if (missing.length > 0)
    throw new Error(`apt knows no file of ${missing.join(', ')}: is apt-get update due?`);
  return found;
}

/** Downloads and unpacks, each into a folder of its digest; what is there already is not touched. */
export function unpackPackages(packages, cache, say) {
  mkdirSync(cache, { recursive: true });
  const absent = packages.filter(({ sha256 }) => !existsSync(join(cache, sha256)));
  const downloads = join(cache, `download-${process.pid}`);
  try {
    for (const [index, { name, file, sha256 }] of absent.entries()) {
      say(`unpacking ${name} (${index + 1} of ${absent.length})`);
      mkdirSync(downloads, { recursive: true });
      download(name, downloads, say);
      const archive = join(downloads, file);
      const digest = createHash('sha256').update(readFileSync(archive)).digest('hex');
      if (digest !== sha256)
        throw new Error(`${file} has the digest ${digest}, and apt's lists have ${sha256}`);
      const target = join(downloads, sha256);
      run('dpkg', ['-x', archive, target]);
      mergeUsr(target);
      rmSync(archive);
      moveInto(target, join(cache, sha256));
    }
  } finally {
    rmSync(downloads, { recursive: true, force: true });
  }
  return packages.map((one) => ({ ...one, folder: join(cache, one.sha256) }));
}

function download(name, folder, say) {
  const { ok, said, fault } = patiently('apt-get', ['download', '-q', name], { cwd: folder, say });
  if (ok) return;
  const title = `downloading ${name}`;
  throw new Error(fault === undefined ? `${title}: ${said.trim()}` : faultText(title, fault, aptSources));
}

/** Debian 12's packages have files in /lib, /bin and /sbin, which a system has in /usr, as Debian 13's packages do. */
export function mergeUsr(folder) {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const from = join(folder, name);
    if (!existsSync(from)) continue;
    cpSync(from, join(folder, 'usr', name), { recursive: true, verbatimSymlinks: true });
    rmSync(from, { recursive: true });
  }
}

/** Two builds at the same time unpack the same bytes: the second finds the folder of the first there. */
function moveInto(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
}

/** Does nothing when it was done before with the same inputs: their digest is the file's name. */
export function cached(folder, inputs, suffix, make) {
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 32);
  const path = join(folder, `${key}${suffix}`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${path}.${process.pid}`, make());
    renameSync(`${path}.${process.pid}`, path);
  }
  return readFileSync(path);
}
