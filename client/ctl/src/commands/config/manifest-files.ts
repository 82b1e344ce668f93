import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, ExitCode, readTextInput, unreadable } from '@kata-agent/cli';
import type { ObjectFile } from '@kata-agent/workloads';

/** The name of standard input as a file. */
export const standardInput = '-';

/**
 * Reads files of Kubernetes objects: files, `-`, and the `*.yaml`, `*.yml` and `*.json` of directories and those below, in the order of
 * their names. Throws a CommandError: one cannot be read (3), or a directory has none (1).
 */
export function readManifestFiles(paths: readonly string[]): readonly ObjectFile[] {
  return paths.flatMap(filesOf).map((file) => ({ file, text: readTextInput(file) }));
}

function filesOf(path: string): readonly string[] {
  if (path === standardInput || !isDirectory(path)) return [path];
  const found = filesIn(path);
  if (found.length > 0) return found;
  throw new CommandError(ExitCode.Failed, `${path} has no file of Kubernetes objects`, {
    help: ['their names end in .yaml, .yml or .json'],
  });
}

/** Links are not followed: they can lead in a circle. */
function filesIn(directory: string): readonly string[] {
  const entries = readdirSync(directory, { withFileTypes: true }).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesIn(path);
    return entry.isFile() && /\.(?:ya?ml|json)$/.test(entry.name) ? [path] : [];
  });
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    throw unreadable(path, error);
  }
}
