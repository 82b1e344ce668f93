import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  CommandError,
  ExitCode,
  isDirectory,
  type OptionRow,
  type Options,
  readAt,
  readTextInput,
  writeOutputFile,
} from '@kata-agent/cli';
import type { ObjectFile } from '@kata-agent/workloads';

/** The name of standard input as a file. */
const standardInput = '-';

/**
 * Reads files of Kubernetes objects: files, `-`, and the `*.yaml`, `*.yml` and `*.json` of directories and those below, in the order of
 * their names. Throws a CommandError: one cannot be read (3), or a directory has none (1).
 */
export function readManifestFiles(paths: readonly string[]): readonly ObjectFile[] {
  return paths.flatMap(filesOf).map((file) => ({ file, text: readTextInput(file) }));
}

/** Options of the commands that change objects: `--check` is of each of them. */
export const editOptions: readonly OptionRow[] = [
  {
    flags: '-f, --filename <path>',
    description:
      'Kubernetes objects: a file, a directory with such files, or - for standard input; may be repeated',
    repeatable: true,
  },
  { flags: '-i, --in-place', description: 'write the files instead of printing them' },
];

/** Reads the files of `editOptions`. Throws a CommandError, also (2) for options that exclude each other. */
export function readEditedFiles(options: Options): readonly ObjectFile[] {
  if (options.flag('inPlace') && options.flag('check'))
    throw new CommandError(ExitCode.Usage, '--in-place and --check: a check changes nothing', {
      help: ['pass one of the two'],
    });
  const paths = options.texts('filename');
  if (paths.length === 0)
    throw new CommandError(ExitCode.Usage, 'no objects given', { help: ['name a file: -f pod.yaml'] });
  if (options.flag('inPlace') && paths.includes(standardInput))
    throw new CommandError(ExitCode.Usage, '--in-place: standard input is no file', {
      help: ['leave it out'],
    });
  return readManifestFiles(paths);
}

/** Writes the files of which the text has changed, with `--in-place`. Throws a CommandError (3). */
export function writeEditedFiles(
  before: readonly ObjectFile[],
  after: readonly ObjectFile[],
  options: Options,
): void {
  if (!options.flag('inPlace')) return;
  for (const [index, { file, text }] of after.entries())
    if (text !== before[index]?.text) writeOutputFile(file, `${byteOrderMark(file)}${text}`);
}

/** Returns the mark that a file begins with, which its text does not have; empty: none. */
function byteOrderMark(file: string): string {
  const mark = '\ufeff';
  return Buffer.from(mark).equals(readAt(file, 0, 3) ?? Buffer.alloc(0)) ? mark : '';
}

/** Reports whether the objects are printed. */
export function printsObjects(options: Options): boolean {
  return !options.flag('inPlace') && !options.flag('check');
}

/** Joins files of objects to one. */
export function joinFiles(files: readonly ObjectFile[]): string {
  return files.map(({ text }) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)).join('---\n');
}

function filesOf(path: string): readonly string[] {
  if (path === standardInput || !isDirectory(path)) return [path];
  const found = filesIn(path, /\.(?:ya?ml|json)$/);
  if (found.length > 0) return found;
  throw new CommandError(ExitCode.Failed, `${path} has no file of Kubernetes objects`, {
    help: ['their names end in .yaml, .yml or .json'],
  });
}

/**
 * Returns the files of a directory and of those below whose names match, in the order of their names. Links are not followed: they can lead in
 * a circle.
 */
export function filesIn(directory: string, names: RegExp): readonly string[] {
  const entries = readdirSync(directory, { withFileTypes: true }).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesIn(path, names);
    return entry.isFile() && names.test(entry.name) ? [path] : [];
  });
}
