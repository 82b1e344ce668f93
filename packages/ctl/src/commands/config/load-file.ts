import { closeSync, openSync, readSync } from 'node:fs';
import { type DocumentRead, type DocumentReader, type Loaded, loadConfiguration } from '@kata-agent/config';

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
 * where it lies is asked in the guest only, and no delivery is waited for.
 */
export async function loadFile(file: string, options: FileOptions = {}): Promise<Loaded> {
  const { kernelLine, sense = 'warning' } = options;
  const later = (options.later ?? []).map((name) => ({ name, read: readPlainly(name) }));
  const unread = later.flatMap(({ read }) => (read.ok ? [] : [read]));
  if (unread.length > 0) {
    const diagnostics = unread.map(({ message, help }) => ({ severity: 'error', message, help }) as const);
    return { ok: false, diagnostics, exitCode: 1 };
  }
  return loadConfiguration({
    flags: {},
    configFlag: file,
    environment: {},
    files: plainFiles,
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
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const buffer = Buffer.alloc(readAtMost);
    let length = 0;
    for (let got = -1; got !== 0 && length < buffer.length; length += got) {
      got = readSync(descriptor, buffer, length, buffer.length - length, null);
    }
    return { ok: true, bytes: new Uint8Array(buffer.subarray(0, length)) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { ok: false, missing, message: `cannot read the configuration: ${reason}`, help: 'name a file' };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
