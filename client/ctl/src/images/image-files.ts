import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, ExitCode, isDirectory, unreadable } from '@kata-agent/cli';
import { maxDocumentBytes } from '@kata-agent/registry';
import { TarError, TarReader } from '@kata-agent/registry/tar';

/** The documents of a stored image: files of a directory, or of a tar archive. Layers are never read. */
export interface ImageFiles {
  /** The directory or the archive. */
  readonly path: string;
  /** Returns a document; undefined: there is none of this name. Throws a CommandError: it cannot be read (3), or is too large (1). */
  read(name: string): Buffer | undefined;
}

/** Opens a directory or a tar archive. Throws a CommandError: it cannot be read (3), or is neither (1). */
export function openImageFiles(path: string): ImageFiles {
  return isDirectory(path) ? directoryFiles(path) : archiveFiles(path);
}

export function directoryFiles(path: string): ImageFiles {
  return {
    path,
    read: (name) => {
      const file = join(path, name);
      try {
        return readDocument(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error instanceof CommandError ? error : unreadable(file, error);
      }
    },
  };
}

/** Without waiting: the files can be from anywhere, and a named pipe never ends. Throws the system's error, or a CommandError. */
function readDocument(file: string): Buffer {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile())
      throw new CommandError(ExitCode.CannotApply, `cannot read ${file}: it is not a regular file`);
    if (stats.size > maxDocumentBytes) throw tooLarge(file);
    return readBytes(descriptor, { position: 0, size: stats.size });
  } finally {
    closeSync(descriptor);
  }
}

const blockSize = 512;
/** Of an archive with thousands of layers. */
const maxEntries = 100_000;
const maxHeaderBytes = 65_536;

interface Content {
  readonly position: number;
  readonly size: number;
}

function archiveFiles(path: string): ImageFiles {
  const found = withFile(path, (descriptor) => contentsOf(descriptor, path));
  return {
    path,
    read: (name) => {
      const content = found.get(name);
      if (content === undefined) return undefined;
      if (content.size > maxDocumentBytes) throw tooLarge(`${path}: ${name}`);
      return withFile(path, (descriptor) => readBytes(descriptor, content));
    },
  };
}

/** Finds the files of an archive by their headers. */
function contentsOf(descriptor: number, path: string): ReadonlyMap<string, Content> {
  const { size: fileSize } = fstatSync(descriptor);
  const found = new Map<string, Content>();
  let position = 0;
  const reader = new TarReader(
    {
      entry: ({ name, type, size }) => {
        if (position + size > fileSize) throw new TarError('truncated', 'the archive ends inside an entry');
        const text = name.toString('utf8').replace(/^\.\//, '');
        if (type !== '0') return;
        if (found.has(text)) throw new TarError('header', `it has ${JSON.stringify(text)} twice`);
        if (found.size === maxEntries) throw new TarError('limit', `it has more than ${maxEntries} files`);
        found.set(text, { position, size });
      },
      data: () => undefined,
      end: () => undefined,
    },
    { headerBytes: maxHeaderBytes },
  );
  try {
    while (position < fileSize && !reader.ended) {
      const block = readBytes(descriptor, { position, size: blockSize });
      position += block.length;
      reader.push(block);
      position += reader.skip();
    }
    reader.finish();
    return found;
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw new CommandError(
      ExitCode.Failed,
      `${path} is not a tar archive of images, or is damaged: ${error.message}`,
      {
        help: [
          'write it again: docker save, podman save or skopeo copy; unpack it first if it is compressed',
        ],
        cause: error,
      },
    );
  }
}

function readBytes(descriptor: number, { position, size }: Content): Buffer {
  const bytes = Buffer.alloc(size);
  return bytes.subarray(0, readSync(descriptor, bytes, 0, size, position));
}

function withFile<T>(path: string, work: (descriptor: number) => T): T {
  try {
    const descriptor = openSync(path, 'r');
    try {
      return work(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw error instanceof CommandError ? error : unreadable(path, error);
  }
}

function tooLarge(file: string): CommandError {
  return new CommandError(
    ExitCode.Failed,
    `${file} has more than ${maxDocumentBytes} bytes: more than manifests and configurations of images have`,
  );
}
