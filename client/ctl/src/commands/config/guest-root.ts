import { createHash } from 'node:crypto';
import { type NamedFile, namedPaths, pathInRoot } from '@kata-agent/config';
import { CommandError, ExitCode, type OptionRow, readInput } from '@kata-agent/cli';

/** The option of commands that read files which a document names. */
export const rootOption: OptionRow = {
  flags: '--root <dir>',
  description: "the root of the guest's file system, with the files that the document names",
};

/** Returns the files that a base document names, with their digests. Rejects if it names any and there is no root. */
export function namedFiles(base: Uint8Array, root: string | undefined): readonly NamedFile[] {
  const named = namedPaths(base);
  const [first] = named;
  if (first === undefined) return [];
  if (root === undefined)
    throw new CommandError(ExitCode.Usage, `${first.key} names ${first.file}, which is part of the digest`, {
      help: ["pass --root DIR, the root of the guest's file system, or write the PEM text into the document"],
    });
  return named.map(({ key, file }) => ({
    key,
    file,
    sha256: createHash('sha256')
      .update(readInput(placeOf(key, root, file)))
      .digest('hex'),
  }));
}

function placeOf(key: string, root: string, file: string): string {
  try {
    return pathInRoot(root, file);
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `${key}: ${(error as Error).message}`, { cause: error });
  }
}
