// Downloads Debian packages once and unpacks them, without installing them.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianRelease } from '@kata-agent/setup/prerequisites';
import { aptSources, registryErrorText, runWithRetries } from '@kata-agent/setup/registry';
import { run } from '@kata-agent/setup/run-program';
import { renameUnlessPresent } from '@kata-agent/tool-command/rename-unless-present';

/** A package file in apt's signed lists. */
export interface ResolvedPackage {
  /** The name of the package. */
  readonly name: string;
  readonly file: string;
  readonly sha256: string;
  readonly uri: string;
}

/** An unpacked package. */
export interface UnpackedPackage extends ResolvedPackage {
  readonly directory: string;
}

/** Returns the first dependency of a metapackage, such as the current kernel of `linux-image-cloud-amd64`. */
export function dependencyOf(name: string): string {
  const depends = /^Depends: ([^ ,]+)/m.exec(run('apt-cache', ['show', '--no-all-versions', name]))?.[1];
  if (depends === undefined) throw new Error(`${name} depends on no package\nhelp: run apt-get update`);
  return depends;
}

/**
 * Converts a name of Debian 13, as in parts.ts, into that of a release. Debian 13 added `t64` to the names of
 * libraries when time_t got 64 bits on 32-bit processors.
 */
export function packageNameIn(release: string | undefined, name: string): string {
  return release === '12' ? name.replace(/t64$/, '') : name;
}

/**
 * Returns the files that apt would download for these packages now, sorted by file name. Their digests are from
 * the archive's signed lists.
 */
export function resolvePackages(wanted: readonly string[]): readonly ResolvedPackage[] {
  const names = wanted.map((name) => packageNameIn(debianRelease(), name));
  const printed = run('apt-get', ['download', '--print-uris', ...new Set(names)]);
  const found = printed
    .split('\n')
    .map((line) => /^'([^']+)' (\S+) \d+ SHA256:([0-9a-f]{64})$/.exec(line))
    .filter((match) => match !== null)
    .map(([, uri = '', file = '', sha256 = '']) => ({ name: file.replace(/_.*$/, ''), file, sha256, uri }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const missing = names.filter((name) => !found.some((one) => one.name === name));
  if (missing.length > 0)
    throw new Error(`apt has no file for ${missing.join(', ')}\nhelp: run apt-get update`);
  return found;
}

/**
 * Downloads packages, verifies their digests, and unpacks each into a directory below `cache` that is named by
 * its digest. Uses existing directories without a check.
 */
export function unpackPackages(
  packages: readonly ResolvedPackage[],
  cache: string,
  printProgress: (text: string) => void,
): readonly UnpackedPackage[] {
  mkdirSync(cache, { recursive: true });
  const absent = packages.filter(({ sha256 }) => !existsSync(join(cache, sha256)));
  const downloads = join(cache, `download-${process.pid}`);
  try {
    if (absent.length > 0) {
      mkdirSync(downloads, { recursive: true });
      download(
        absent.map(({ name }) => name),
        downloads,
        printProgress,
      );
    }
    for (const [index, { name, file, sha256 }] of absent.entries()) {
      printProgress(`unpacking ${name} (${index + 1} of ${absent.length})`);
      const archive = join(downloads, file);
      const digest = createHash('sha256').update(readFileSync(archive)).digest('hex');
      if (digest !== sha256)
        throw new Error(`${file} has the digest ${digest}, but apt's lists have ${sha256}`);
      const target = join(downloads, sha256);
      run('dpkg', ['-x', archive, target]);
      mergeUsr(target);
      rmSync(archive);
      renameUnlessPresent(target, join(cache, sha256));
    }
  } finally {
    rmSync(downloads, { recursive: true, force: true });
  }
  return packages.map((one) => ({ ...one, directory: join(cache, one.sha256) }));
}

/** Downloads packages by one call of apt-get, which reads its lists for a second. */
function download(names: readonly string[], directory: string, printProgress: (text: string) => void): void {
  const title = `downloading ${names.length} Debian packages`;
  printProgress(title);
  const { ok, output, registryError } = runWithRetries('apt-get', ['download', '-q', ...names], {
    cwd: directory,
    printProgress,
  });
  if (ok) return;
  throw new Error(
    registryError === undefined
      ? `${title}: ${output.trim()}`
      : registryErrorText(title, registryError, aptSources),
  );
}

/**
 * Moves files of Debian 12's packages from /lib, /lib64, /bin and /sbin to /usr, where Debian 13's packages
 * have them.
 */
export function mergeUsr(directory: string): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const from = join(directory, name);
    if (!existsSync(from)) continue;
    cpSync(from, join(directory, 'usr', name), { recursive: true, verbatimSymlinks: true });
    rmSync(from, { recursive: true });
  }
}

// A cache of slow build steps, on disk.

/**
 * Returns the bytes that `make` returns for these inputs, and stores them. The file's name is the digest of the
 * inputs as JSON; if the file exists, `make` is not called.
 */
export function cached(
  directory: string,
  inputs: readonly unknown[],
  suffix: string,
  make: () => Buffer,
): Buffer {
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 32);
  const path = join(directory, `${key}${suffix}`);
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${path}.${process.pid}`, make());
    renameSync(`${path}.${process.pid}`, path);
  }
  return readFileSync(path);
}
