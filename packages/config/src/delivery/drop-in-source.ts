import { readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DeliveredDocument, DeliverySource, DocumentReader } from '../configuration.js';
import type { Diagnostic } from '../diagnostic.js';
import { quote } from '../display-text.js';
import { foreignFilesystem } from '../foreign-filesystem.js';
import { isAbsent, nothing, reasonOf, undelivered } from './undelivered.js';

/** How drop-ins are read; the reader holds each file to the rules for documents (S6). */
interface DropInOptions {
  readonly root: string;
  readonly relaxedPermissions: boolean;
  readonly files: DocumentReader;
}

/**
 * `*.toml` in `drop_in_dir`, in the order of their names' bytes. The folder is held to the rules of S6 as its files are:
 * whoever can write it can take a restriction away. Hidden files are left alone; any other name is an error, since a
 * misspelt one would restrict nothing without a word.
 */
export function dropInSource(options: DropInOptions): DeliverySource {
  return { name: 'drop_ins', collect: ({ dropInDir }) => collect(join(options.root, dropInDir), options) };
}

function collect(
  folder: string,
  { relaxedPermissions, files }: DropInOptions,
): ReturnType<DeliverySource['collect']> {
  let names: readonly string[];
  try {
    const stats = statSync(folder);
    if (!stats.isDirectory())
      return undelivered(`${quote(folder)} is not a directory`, 'name one in drop_in_dir');
    if (!relaxedPermissions && (stats.uid !== 0 || (stats.mode & 0o022) !== 0)) {
      const message = `${quote(folder)} can be changed by others than root`;
      return undelivered(message, `chown root:root ${folder} && chmod go-w ${folder}`);
    }
    const filesystem = foreignFilesystem(statfsSync(folder).type);
    if (filesystem !== undefined) {
      const message = `${quote(folder)} lies on ${filesystem}, which is not the guest's own root`;
      return undelivered(
        message,
        'whoever serves it could leave a file out: name a folder of the image in drop_in_dir',
      );
    }
    names = readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (isAbsent(error)) return nothing;
    return undelivered(`${quote(folder)} cannot be read: ${reasonOf(error)}`, `look at it: ls -ld ${folder}`);
  }
  const documents: DeliveredDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const name of names.toSorted(byBytes)) {
    const file = join(folder, name);
    const read = name.endsWith('.toml') ? files.read(file) : notToml(file);
    if (read.ok) documents.push({ file, bytes: read.bytes, envelope: read.bytes, algorithm: 'sha-256' });
    else diagnostics.push({ severity: 'error', message: read.message, help: read.help });
  }
  return diagnostics.length === 0 ? { ok: true, documents } : { ok: false, diagnostics };
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function notToml(file: string): ReturnType<DocumentReader['read']> {
  const message = `${quote(file)} is no drop-in: its name does not end in .toml`;
  return { ok: false, missing: false, message, help: `rename it to end in .toml, or remove it: rm ${file}` };
}
