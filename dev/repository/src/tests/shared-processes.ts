// Which test files share a process? node:test starts a process for each file that it is given, and loading the modules of a package takes
// longer than most of its tests. The unit tests of packages that open no sockets and need no root run in one process for each package, or two, by an
// entry that imports them. Events of node:test name the file in which a test is written, so that reports are the same.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';

/** The packages whose test files share a process. */
const sharing = [
  'client/analysis',
  'client/workloads',
  'lib/audit',
  'lib/base',
  'lib/catalogue',
  'lib/config',
  'lib/connection-limits',
  'lib/evidence',
  'lib/gate',
  'lib/tlog',
  'lib/x509',
];

/** What holds for a whole process, and would change the tests of other files: hooks outside of suites, and state of the process. */
const ofProcess =
  /^(?:before|beforeEach|afterEach)\(|process\.(?:chdir|umask|exit|exitCode|on|once)\b|process\.env\[[^\]]+\] = |delete process\.env|\bmock\.timers\b|\bsetFlagsFromString\b/m;

/** Returns the directory of the package whose process a test file shares; undefined: it has one of its own. */
export function sharedProcess(file: string, text: string): string | undefined {
  if (file.endsWith('.root.test.js') || ofProcess.test(text)) return undefined;
  return sharing.find((directory) => file.startsWith(`${directory}/dist/`));
}

/**
 * Returns what node:test runs instead of test files: entries that import those that share a process, and the others.
 *
 * @param files compiled files, relative to the repository
 * @param directory an existing one, for the entries
 */
export function withSharedProcesses(files: readonly string[], directory: string): readonly string[] {
  const shared = new Map<string, string[]>();
  for (const file of files) {
    const process = sharedProcess(file, readFileSync(join(root, file), 'utf8')) ?? file;
    shared.set(process, [...(shared.get(process) ?? []), file]);
  }
  return [...shared].flatMap(([name, all]) =>
    partsOf(all).map((part, index) => {
      const [first = '', ...more] = part;
      if (more.length === 0) return first;
      const entry = join(directory, `${name.replaceAll('/', '-')}-${index}.mjs`);
      writeFileSync(entry, entryOf(part));
      return entry;
    }),
  );
}

/** Divides the files of a large package between two processes, which two processors run at once. */
function partsOf(files: readonly string[]): readonly (readonly string[])[] {
  if (files.length < 24) return [files];
  return [0, 1].map((part) => files.filter((_, index) => index % 2 === part));
}

const entryOf = (files: readonly string[]): string =>
  files.map((file) => `import ${JSON.stringify(pathToFileURL(join(root, file)).href)};\n`).join('');
