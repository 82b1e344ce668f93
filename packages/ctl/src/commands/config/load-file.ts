import { type DocumentRead, type DocumentReader, type Loaded, loadConfiguration } from '@kata-agent/config';
import { readUpTo } from '../../input/read-input.js';
import { reasonOf } from '../../input/reason-of.js';

/** Larger files are no configurations; the loader refuses anything over 256 KiB, and says so. */
const readAtMost = 256 * 1024 + 1;

export interface FileOptions {
  /** What a host might write there. */
  readonly kernelLine?: string | undefined;
  /** Files of further documents, in the order in which they are merged. */
  readonly later?: readonly string[];
  /** What sets are that make no sense. */
  readonly sense?: 'error' | 'warning';
}

/**
 * The configuration that an agent would have of this file, on any machine: whose the file is, who may write it and
 * where it lies is asked in the guest only, and no delivery is waited for. Exit code 3: a file cannot be read.
 */
export async function loadFile(file: string, options: FileOptions = {}): Promise<Loaded> {
  const { kernelLine, sense = 'warning' } = options;
  const later = (options.later ?? []).map((name) => ({ name, read: readPlainly(name) }));
  // Once, for what is read may be a pipe.
  const base = readPlainly(file);
  const unread = [base, ...later.map(({ read }) => read)].flatMap((read) => (read.ok ? [] : [read]));
  if (unread.length > 0) {
    const diagnostics = unread.map(({ message, help }) => ({ severity: 'error', message, help }) as const);
    return { ok: false, diagnostics, exitCode: 3 };
  }
  return loadConfiguration({
    flags: {},
    configFlag: file,
    environment: {},
    files: { read: (path) => (path === file ? base : readPlainly(path)) },
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
    delivery: [],
    hostData: () => ({ ok: false, message: 'there is no report here', help: 'ask in the guest' }),
    offline: {
      later: later.flatMap(({ name, read }) => (read.ok ? [{ file: name, bytes: read.bytes }] : [])),
      sense,
    },
    ...(kernelLine === undefined ? {} : { kernelLine }),
  });
}

/** Reads a file as it is, whoever it belongs to. */
export const plainFiles: DocumentReader = { read: readPlainly };

function readPlainly(path: string): DocumentRead {
  try {
    return { ok: true, bytes: readUpTo(path, readAtMost) };
  } catch (error) {
    const message = `cannot read ${path}: ${reasonOf(error)}`;
    return {
      ok: false,
      missing: (error as NodeJS.ErrnoException).code === 'ENOENT',
      message,
      help: 'name a file that can be read',
    };
  }
}
