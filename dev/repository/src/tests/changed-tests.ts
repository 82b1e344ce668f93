// `npm test -- --changed [BASE]`: which test files does a change reach? Files reach each other by imports, also those of other packages and
// of types, and by the programs that they start: a path of a compiled file or script in their text (`bench/dist/main.js`), the constants of
// `programs` below, and `runTool` of scripts/. What is not code reaches the files that mention its path, otherwise all of its package.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { packageDirectories } from '@kata-agent/setup/products';
import { importGraph } from '../check/import-graph.js';

/** The programs that tests start, by the constants of tests/harness/repository.ts. A file that imports only other names of it starts none. */
export const programs: Readonly<Record<string, string>> = {
  agentProgram: 'agent/server/bin/kata-agent.mjs',
  ctlProgram: 'client/ctl/bin/kata-agent-ctl.mjs',
  realmProgram: 'realm/program/bin/kata-realm.mjs',
};
const programConstants = 'tests/harness/repository.ts';

/** A file with this name decides how all of its package is compiled and what it imports. */
const packageWide = /(?:^|\/)(?:package(?:-lock)?|tsconfig(?:\.base)?)\.json$/;

/** Files by path from the root, each with its text. */
export type Sources = ReadonlyMap<string, string>;

/** What a change reaches: paths of test files, sources. */
export interface ReachedTests {
  /** Those to run. */
  readonly chosen: readonly string[];
  /** Those that only `--all` runs: of other packages, and those that need root or a virtual machine. */
  readonly leftOut: readonly string[];
}

/** Reads the sources of the repository: TypeScript and the scripts. */
export function readSources(): Sources {
  return new Map([...importGraph().keys()].map((file) => [file, readFileSync(join(root, file), 'utf8')]));
}

/** The change since a commit, with what is not committed. */
export interface Change {
  readonly base: string;
  /** Paths from the root. A file that was removed is not one: a file that imported it has changed too. */
  readonly files: readonly string[];
}

/** Returns what has changed since a commit; by default the last one that HEAD shares with main. Throws git's error. */
export function changeSince(commit: string | undefined): Change {
  const base = git('merge-base', 'HEAD', commit ?? mainBranch());
  const files = [
    ...git('diff', '--name-only', '--no-renames', base).split('\n'),
    ...git('ls-files', '--others', '--exclude-standard').split('\n'),
  ];
  return { base, files: files.filter((file) => file !== '' && existsSync(join(root, file))) };
}

function mainBranch(): string {
  const names = git('for-each-ref', '--format=%(refname)', 'refs/heads/main', 'refs/remotes/origin/main');
  return names.split('\n')[0] || 'HEAD';
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

/**
 * Returns the test files that changed files reach. Chosen are test files that have changed, and those of the packages that have, unless they
 * need root or a virtual machine; with `all` every one.
 *
 * @param entries exports of the packages, by specifier, as `packageEntries` returns them
 */
export function reachedTests(
  sources: Sources,
  entries: ReadonlyMap<string, string>,
  changed: readonly string[],
  all: boolean,
): ReachedTests {
  const users = usersOf(sources, entries);
  const found = new Set(
    changed.flatMap((file) => (sources.has(file) ? [file] : readersOf(file, sources, all))),
  );
  for (const each of found) for (const user of users.get(each) ?? []) found.add(user);
  const packages = new Set(changed.map(packageOf));
  const runs = (file: string): boolean =>
    all || changed.includes(file) || (packages.has(packageOf(file)) && !needsMachine(file));
  const tests = [...found].filter((file) => file.endsWith('.test.ts')).sort();
  return { chosen: tests.filter(runs), leftOut: tests.filter((file) => !runs(file)) };
}

/** Returns the lines that say what was chosen and what was not. */
export function reachedLines({ base, files }: Change, { chosen, leftOut }: ReachedTests): readonly string[] {
  const counted = (tests: readonly string[]): string => {
    const counts = new Map<string, number>();
    for (const each of tests.map(kindOf)) counts.set(each, (counts.get(each) ?? 0) + 1);
    return [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
  };
  const shown = chosen.length > 12 ? [counted(chosen)] : chosen;
  return [
    `changed since ${base.slice(0, 10)}: ${files.length} files; test files that they reach: ${chosen.length + leftOut.length}`,
    `chosen: ${chosen.length}`,
    ...shown.map((line) => `  ${line}`),
    ...(leftOut.length === 0
      ? []
      : [
          `left out: ${leftOut.length}, of other packages, or that need root or a virtual machine; help: --changed --all runs them`,
          `  ${counted(leftOut)}`,
        ]),
  ];
}

/** Returns the files that entries of the packages' package.json name, by specifier, such as `@kata-agent/config/served`. */
export function packageEntries(): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const directory of [...packageDirectories, 'scripts', 'fuzz', 'bench']) {
    const { name, exports = {} } = JSON.parse(
      readFileSync(join(root, directory, 'package.json'), 'utf8'),
    ) as {
      readonly name: string;
      readonly exports?: Readonly<Record<string, { readonly default: string }>>;
    };
    for (const [path, { default: file }] of Object.entries(exports))
      entries.set(join(name, path), sourceOf(join(directory, file)));
  }
  return entries;
}

/** Returns the files that use a file: import it, or start a program with it. */
function usersOf(
  sources: Sources,
  entries: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const [file, text] of sources)
    for (const used of usesOf(file, text, entries)) {
      if (used === file || !sources.has(used)) continue;
      const known = users.get(used) ?? [];
      users.set(used, known);
      known.push(file);
    }
  return users;
}

function* usesOf(file: string, text: string, entries: ReadonlyMap<string, string>): Generator<string> {
  const at = (path: string): string => sourceOf(normalize(join(dirname(file), path)));
  for (const [, path = ''] of text.matchAll(/'(\.\.?\/[^'\n]+)'/g)) yield at(path);
  for (const [, path = ''] of text.matchAll(/new URL\('([\w.-]+)', import/g)) yield at(path);
  for (const [, name = ''] of text.matchAll(/'(@kata-agent\/[^'\n]+)'/g)) yield entries.get(name) ?? '';
  for (const [, tool = '', program = 'main'] of text.matchAll(/runTool\('([^']+)'(?:, '([^']+)')?/g))
    yield `${tool}/src/${program}.ts`;
  if (file === programConstants) return;
  for (const [path] of joined(text).matchAll(/(?:[\w-]+\/)+[\w.-]+\.m?js/g)) yield sourceOf(path);
  for (const [name, program] of Object.entries(programs)) if (text.includes(name)) yield program;
}

/** Returns a text in which `join(root, 'a', 'b')` has `'a/b'`. */
const joined = (text: string): string => text.replaceAll("', '", '/');

/** Returns the source of a compiled file; a path of anything else as it is. */
export function sourceOf(path: string): string {
  const source = path.replace(/^(tests|fuzz|bench)\/dist\//, '$1/').replace(/\/dist\//, '/src/');
  return source.replace(/\.js$/, '.ts');
}

/** Returns the files that read a file which is not code: those that mention its path, or its name, or those of its package. */
function readersOf(path: string, sources: Sources, all: boolean): readonly string[] {
  const within = packageOf(path);
  if (packageWide.test(path))
    return [...sources.keys()].filter((file) => (within === '' ? all : packageOf(file) === within));
  const mentioning = (text: string): readonly string[] =>
    [...sources].filter(([, source]) => joined(source).includes(text)).map(([file]) => file);
  // Generated from .proto files: no source here, but an entry for each.
  if (within === 'lib/protocol') return mentioning(`'@kata-agent/protocol/`);
  const name = path.slice(path.lastIndexOf('/') + 1);
  const readers = [path, `${name}'`].map(mentioning).find((files) => files.length > 0);
  if (readers !== undefined) return readers;
  return packageDirectories.includes(within)
    ? [...sources.keys()].filter((file) => packageOf(file) === within)
    : mentioning(`'${within}`);
}

/** Returns the directory of a file's package, or the first one of its path, such as `tests`; empty for a file of the root. */
function packageOf(file: string): string {
  const [first = '', second = '', ...more] = file.split('/');
  const directory = `${first}/${second}`;
  if (packageDirectories.includes(directory)) return directory;
  return second === '' && more.length === 0 ? '' : first;
}

/** Returns what a test file is counted as: its package, or its directory in `tests`. */
function kindOf(file: string): string {
  const [first = '', second = ''] = file.split('/');
  const kind = first === 'tests' ? `${first}/${second}` : packageOf(file);
  return file.endsWith('.root.test.ts') ? `${kind} (root)` : kind;
}

/** Reports whether a test file needs root or a virtual machine. */
function needsMachine(file: string): boolean {
  return file.endsWith('.root.test.ts') || /^tests\/(?:root|vm)\//.test(file);
}
