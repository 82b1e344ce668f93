import { readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DeliveredDocument,
  type DeliverySource,
  type DocumentReader,
  isAbsent,
  nothing,
  reasonOf,
  undelivered,
} from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { foreignFilesystem } from './open-document.js';

/** How drop-ins are read; the reader applies the checks for documents to each file (S6). */
interface DropInOptions {
  readonly root: string;
  readonly relaxedPermissions: boolean;
  readonly files: DocumentReader;
}

/**
 * Reads `*.toml` in `drop_in_dir`, in byte order of their names. The directory is checked by S6 like its files, since
 * anyone who can write to it can remove a restriction. Hidden files are ignored; any other name is an error, because a
 * misspelt file would silently restrict nothing.
 */
export function dropInSource(options: DropInOptions): DeliverySource {
  return { name: 'drop_ins', collect: ({ dropInDir }) => collect(join(options.root, dropInDir), options) };
}

function collect(
  directory: string,
  { relaxedPermissions, files }: DropInOptions,
): ReturnType<DeliverySource['collect']> {
  let names: readonly string[];
  try {
    const stats = statSync(directory);
    if (!stats.isDirectory())
      return undelivered('KA1703', `${quote(directory)} is not a directory`, 'name one in drop_in_dir');
    if (!relaxedPermissions && (stats.uid !== 0 || (stats.mode & 0o022) !== 0)) {
      const message = `${quote(directory)} can be changed by others than root`;
      return undelivered('KA1604', message, `chown root:root ${directory} && chmod go-w ${directory}`);
    }
    const filesystem = foreignFilesystem(statfsSync(directory).type);
    if (filesystem !== undefined) {
      const message = `${quote(directory)} is on ${filesystem}, which is not the guest's root filesystem`;
      return undelivered(
        'KA1604',
        message,
        'the server of that filesystem could omit a file: name a directory of the image in drop_in_dir',
      );
    }
    names = readdirSync(directory).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (isAbsent(error)) return nothing;
    return undelivered(
      'KA1703',
      `${quote(directory)} cannot be read: ${reasonOf(error)}`,
      `check it: ls -ld ${directory}`,
    );
  }
  const documents: DeliveredDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const name of names.toSorted(byBytes)) {
    const file = join(directory, name);
    const read = name.endsWith('.toml') ? files.read(file) : notToml(file);
    if (read.ok) documents.push({ file, bytes: read.bytes, envelope: read.bytes, algorithm: 'sha-256' });
    else diagnostics.push({ severity: 'error', code: read.code, message: read.message, help: read.help });
  }
  return diagnostics.length === 0 ? { ok: true, documents } : { ok: false, diagnostics };
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function notToml(file: string): ReturnType<DocumentReader['read']> {
  const message = `${quote(file)} is no drop-in: its name does not end in .toml`;
  return {
    ok: false,
    missing: false,
    code: 'KA1606',
    message,
    help: `rename it to end in .toml, or remove it: rm ${file}`,
  };
}
