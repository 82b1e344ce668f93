import {
  type DocumentRead,
  type DocumentReader,
  type Loaded,
  loadConfiguration,
  pathInRoot,
} from '@kata-agent/config';
import { readUpTo, reasonOf } from '@kata-agent/cli';

/** Upper bound for reading. The loader rejects files over 256 KiB with its own message. */
const readAtMost = 256 * 1024 + 1;

export interface FileOptions {
  /** The kernel command line to apply, which the host controls. */
  readonly kernelCommandLine?: string | undefined;
  /** Files of further documents, in the order in which they are merged. */
  readonly later?: readonly string[];
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
  const { kernelCommandLine, root, sense = 'warning' } = options;
  const later = (options.later ?? []).map((name) => ({ name, read: readPlainly(name) }));
  // Read only once: the path can be a pipe.
  const base = readPlainly(file);
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
