import { resolve } from 'node:path';
import { initdataAnnotation, initdataKey } from '@kata-agent/config';
import { CommandError, ExitCode, isDirectory, readInput } from '@kata-agent/cli';
import { readAnnotations, WorkloadError } from '@kata-agent/workloads';
import {
  envelopeIn,
  isEnvelope,
  parseAnnotation,
  parseEnvelope,
  type PodInitdata,
} from '../annotate/pod-initdata.js';
import { filesIn } from './manifest-files.js';

/** A document, and where it was found. */
export interface FoundDocument {
  readonly kind: 'document' | 'initdata' | 'pod';
  readonly file: string;
  /** The file, or `Pod web (pod.yaml:1:1)`. */
  readonly title: string;
  readonly bytes: Uint8Array;
  /** The initdata that carries it; absent: it is a file of its own. */
  readonly initdata?: PodInitdata;
}

/** What could not be read as a document. */
export interface Unread {
  readonly file: string;
  readonly title: string;
  readonly error: CommandError;
}

/** Names of files that may have documents: documents, initdata and its disk images, and Kubernetes objects. */
const documentNames = /\.(?:toml|img|ya?ml|json)$/;
const objectNames = /\.(?:ya?ml|json)$/;

/**
 * Finds the documents of files, and of directories with those below, in the order of their names. `except`: files that are left out of
 * directories. Throws a CommandError if a path cannot be read (3), or no document is there (1).
 */
export function findDocuments(
  paths: readonly string[],
  except: readonly string[],
): readonly (FoundDocument | Unread)[] {
  const left = new Set(except.map((path) => resolve(path)));
  const found = paths.flatMap((path) => {
    if (!isDirectory(path)) return documentsIn(path);
    return filesIn(path, documentNames)
      .filter((file) => !left.has(resolve(file)))
      .flatMap(documentsIn);
  });
  if (found.length > 0) return found;
  throw new CommandError(ExitCode.Failed, `${paths.join(', ')}: no document found`, {
    help: [`documents are *.toml, initdata, and pods with the annotation ${initdataAnnotation}`],
  });
}

function documentsIn(file: string): readonly (FoundDocument | Unread)[] {
  const attempt = (title: string, read: () => FoundDocument): FoundDocument | Unread => {
    try {
      return read();
    } catch (error) {
      return unread(file, title, error);
    }
  };
  if (!objectNames.test(file)) return [attempt(file, () => documentIn(file))];
  try {
    const text = Buffer.from(readInput(file)).toString('utf8');
    return readAnnotations({ file, text }, initdataAnnotation).map(({ kind, name, place, value }) => {
      const title = `${kind} ${name} (${place})`;
      return attempt(title, () => ofInitdata('pod', file, title, parseAnnotation(value, place)));
    });
  } catch (error) {
    return [unread(file, file, error)];
  }
}

function documentIn(file: string): FoundDocument {
  const bytes = readInput(file);
  const isDocument = file.endsWith('.toml') && !isEnvelope(Buffer.from(bytes).toString('utf8'));
  const envelope = isDocument ? undefined : envelopeIn(file, bytes);
  if (envelope === undefined) return { kind: 'document', file, title: file, bytes };
  return ofInitdata('initdata', file, file, parseEnvelope(envelope, file));
}

function ofInitdata(
  kind: 'initdata' | 'pod',
  file: string,
  title: string,
  initdata: PodInitdata,
): FoundDocument {
  const text = initdata.files.get(initdataKey);
  if (text !== undefined) return { kind, file, title, bytes: Buffer.from(text), initdata };
  throw new CommandError(ExitCode.Mismatch, `${title}: the initdata has no ${initdataKey}`, {
    help: [`it has ${[...initdata.files.keys()].join(', ') || 'no files'}`],
  });
}

function unread(file: string, title: string, error: unknown): Unread {
  if (error instanceof CommandError) return { file, title, error };
  if (!(error instanceof WorkloadError)) throw error;
  return { file, title, error: new CommandError(ExitCode.Failed, error.message, { cause: error }) };
}
