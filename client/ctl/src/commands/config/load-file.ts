import { createHash } from 'node:crypto';
import {
  type Configuration,
  type Diagnostic,
  type DocumentRead,
  type DocumentReader,
  loadConfiguration,
  type Loaded,
  type NamedFile,
  namedPaths,
  pathInRoot,
  renderDiagnostic,
} from '@kata-agent/config';
import {
  CommandError,
  ExitCode,
  type Invocation,
  type Io,
  type OptionRow,
  readInput,
  readUpTo,
  reasonOf,
  styleFor,
} from '@kata-agent/cli';

/** Upper bound for reading. The loader rejects files over 256 KiB with its own message. */
const readAtMost = 256 * 1024 + 1;

export interface FileOptions {
  /** The kernel command line to apply, which the host controls. */
  readonly kernelCommandLine?: string | undefined;
  /** Files of further documents, in the order in which they are merged. */
  readonly later?: readonly string[];
  /** Documents that are merged after them. */
  readonly delivered?: readonly { readonly name: string; readonly text: string }[];
  /** The root of the guest's file system, for the files that the document names; undefined: they are not read. */
  readonly root?: string | undefined;
  /** The severity of inconsistent settings. */
  readonly sense?: 'error' | 'warning';
}

/**
 * Loads a file as an agent would, on any machine: owner, permissions and directory of the file are not checked, and
 * no delivery is awaited. Exit code 3 if a file cannot be read.
 */
export async function loadFile(file: string, options: FileOptions = {}): Promise<Loaded> {
  // Read only once: the path can be a pipe.
  return loadRead(file, readPlainly(file), options);
}

/** Loads a document without a file, as `loadFile` does; `name` is for diagnostics. */
export async function loadText(name: string, text: string, options: FileOptions = {}): Promise<Loaded> {
  return loadRead(name, { ok: true, bytes: Buffer.from(text) }, options);
}

async function loadRead(file: string, base: DocumentRead, options: FileOptions): Promise<Loaded> {
  const { kernelCommandLine, root, sense = 'warning' } = options;
  const later = [
    ...(options.later ?? []).map((name) => ({ name, read: readPlainly(name) })),
    ...(options.delivered ?? []).map(({ name, text }) => ({
      name,
      read: { ok: true, bytes: Buffer.from(text) } as const,
    })),
  ];
  const unread = [base, ...later.map(({ read }) => read)].flatMap((read) => (read.ok ? [] : [read]));
  if (unread.length > 0) {
    const diagnostics = unread.map(
      ({ code, message, help }) => ({ severity: 'error', code, message, help }) as const,
    );
    return { ok: false, diagnostics, exitCode: 3 };
  }
  return loadConfiguration({
    flags: {},
    configFlag: file,
    environment: {},
    files: { read: (path) => (path === file ? base : readPlainly(path)) },
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
    delivery: [],
    hostData: () => ({
      ok: false,
      message: 'there is no attestation report on this machine',
      help: 'check in the guest',
    }),
    offline: {
      later: later.flatMap(({ name, read }) => (read.ok ? [{ file: name, bytes: read.bytes }] : [])),
      sense,
      ...(root === undefined ? {} : { files: filesBelow(root) }),
    },
    ...(kernelCommandLine === undefined ? {} : { kernelCommandLine }),
  });
}

/** Reads files of the guest below a root on this machine. */
function filesBelow(root: string): DocumentReader {
  return {
    read: (path) => {
      try {
        return readPlainly(pathInRoot(root, path));
      } catch (error) {
        const help = 'pass a root that has the file itself';
        return { ok: false, missing: false, code: 'KA1603', message: (error as Error).message, help };
      }
    },
  };
}

/** Reads a file of any owner. */
export const plainFiles: DocumentReader = { read: readPlainly };

function readPlainly(path: string): DocumentRead {
  try {
    return { ok: true, bytes: readUpTo(path, readAtMost) };
  } catch (error) {
    const message = `cannot read ${path}: ${reasonOf(error)}`;
    return {
      ok: false,
      missing: (error as NodeJS.ErrnoException).code === 'ENOENT',
      code: 'KA1603',
      message,
      help: 'pass a file that this user can read',
    };
  }
}

/**
 * Loads the configuration in a file. Warnings are not printed: `config check` does. Rejects with a CommandError if
 * the configuration is invalid.
 */
export async function loadedFile(file: string, invocation: Invocation): Promise<Configuration> {
  const loaded = await loadFile(file);
  if (loaded.ok) return loaded.configuration;
  throw faulty(invocation, loaded.diagnostics, {
    message: `${file} cannot be loaded`,
    help: `fix the errors; kata-agent-ctl config check ${file} prints them too`,
    exitCode: loaded.exitCode,
  });
}

/** Prints diagnostics on standard error, separated by empty lines. */
export function printDiagnostics(io: Io, diagnostics: readonly Diagnostic[]): void {
  const color = styleFor(io.stderr, io.environment).enabled;
  for (const diagnostic of diagnostics) io.stderr.write(`${renderDiagnostic(diagnostic, { color })}\n\n`);
}

/** Returns `1 error` or `2 warnings`: the number of diagnostics with this severity. */
export function countOf(diagnostics: readonly Diagnostic[], severity: Diagnostic['severity']): string {
  const count = diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
  return `${count} ${severity}${count === 1 ? '' : 's'}`;
}

/**
 * The error that ends a command on an invalid file: people have seen the diagnostics already, programs get them with
 * the error.
 */
export function faulty(
  { io, options }: Invocation,
  diagnostics: readonly Diagnostic[],
  error: { readonly message: string; readonly help: string; readonly exitCode?: ExitCode },
): CommandError {
  if (!options.json) printDiagnostics(io, diagnostics);
  const message = `${error.message}: ${countOf(diagnostics, 'error')}`;
  return new CommandError(error.exitCode ?? ExitCode.Failed, message, { help: [error.help], diagnostics });
}

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
