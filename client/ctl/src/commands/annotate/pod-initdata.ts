import { gzipSync } from 'node:zlib';
import {
  type InitdataAlgorithm,
  initdataAnnotation,
  initdataKey,
  isGzip,
  maxDocumentBytes,
  parseInitdata,
  renderDiagnostic,
  unpackInitdataImage,
  unzip,
  writeInitdataFiles,
} from '@kata-agent/config';
import { CommandError, ExitCode } from '@kata-agent/cli';
import type { Workload } from '@kata-agent/workloads';

/** Initdata of a pod. */
export interface PodInitdata {
  readonly algorithm: InitdataAlgorithm;
  /** The texts of its files, by name. */
  readonly files: ReadonlyMap<string, string>;
  readonly envelope: Uint8Array;
}

/** Kubernetes' limit for all annotations of an object (apimachinery, `TotalAnnotationSizeLimitB`). */
const maxAnnotation = 256 << 10;

/** Returns the initdata that a pod has; undefined if it has none. Throws a CommandError (1) if the annotation is not one. */
export function initdataOf({ annotations, place }: Workload): PodInitdata | undefined {
  const text = annotations.get(initdataAnnotation);
  return text === undefined || text === '' ? undefined : parseAnnotation(text, place);
}

/** Parses the value of the annotation of a pod. Throws a CommandError (1). */
export function parseAnnotation(text: string, place: string): PodInitdata {
  return parseEnvelope(unpackedAnnotation(text, place), `initdata of ${place}`);
}

/**
 * Returns the envelope in a file: initdata, gzip or a disk image of it, or the value of the annotation. Undefined: the file is another text.
 * Throws a CommandError (1) if it cannot be unpacked.
 */
export function envelopeIn(file: string, bytes: Uint8Array): Uint8Array | undefined {
  const image = unpackInitdataImage(bytes);
  if (image?.ok === false)
    throw new CommandError(ExitCode.Failed, `${file} cannot be unpacked: ${image.reason}`);
  if (image !== undefined) return image.bytes;
  if (isGzip(bytes)) return unzipped(bytes, file);
  const text = new TextDecoder().decode(bytes);
  if (/^[A-Za-z0-9+/=\s]+$/.test(text)) return unpackedAnnotation(text, file);
  return isEnvelope(text) ? bytes : undefined;
}

/** Reports whether a text of TOML is initdata: a document has no algorithm. */
export function isEnvelope(text: string): boolean {
  const [top = ''] = text.split(/^\s*\[/m);
  return /^\s*algorithm\s*=/m.test(top);
}

/** Unpacks the value of the annotation to an envelope. `place` is for messages. Throws a CommandError (1). */
function unpackedAnnotation(text: string, place: string): Uint8Array {
  return unzipped(Buffer.from(text, 'base64'), `${place}: the annotation ${initdataAnnotation}`);
}

/** Unpacks gzip as the agent does. `what` is for messages. Throws a CommandError (1). */
function unzipped(bytes: Uint8Array, what: string): Uint8Array {
  const found = unzip(bytes);
  if (found.ok) return found.bytes;
  throw new CommandError(ExitCode.Failed, `${what} cannot be unpacked: ${found.reason}`, {
    help: ['remove it, or write it again'],
  });
}

/** Parses an envelope. Throws a CommandError (1). */
export function parseEnvelope(envelope: Uint8Array, place: string): PodInitdata {
  const parsed = parseInitdata(envelope, place);
  if (parsed.ok) return { ...parsed, envelope };
  throw new CommandError(
    ExitCode.Failed,
    parsed.diagnostics.map((each) => renderDiagnostic(each)).join('\n'),
  );
}

/** Returns the value of the annotation. Throws a CommandError (1) if the agent or Kubernetes would not accept it. */
export function encodeInitdata({ envelope }: Pick<PodInitdata, 'envelope'>, place: string): string {
  if (envelope.length > maxDocumentBytes)
    throw new CommandError(
      ExitCode.Failed,
      `${place}: the initdata has ${envelope.length} bytes; an agent reads at most ${maxDocumentBytes}`,
      { help: ['set fewer values in the pod, or deliver the document in the image'] },
    );
  const text = gzipSync(envelope, { level: 9 }).toString('base64');
  if (text.length + initdataAnnotation.length <= maxAnnotation) return text;
  throw new CommandError(
    ExitCode.Failed,
    `${place}: the initdata has ${text.length} characters; the annotations of an object have at most ${maxAnnotation}`,
    { help: ['set fewer values in the pod, or deliver the document in the image'] },
  );
}

/** What goes into the initdata of a pod. */
export interface InitdataParts {
  readonly document: string;
  /** For initdata that a pod does not have yet. */
  readonly algorithm: InitdataAlgorithm;
  /** Texts of other files, such as `aa.toml`. */
  readonly others: ReadonlyMap<string, string>;
}

/** Replaces files of initdata. Those that are not named stay, in their order. */
export function mergeInitdata(current: PodInitdata | undefined, parts: InitdataParts): PodInitdata {
  const algorithm = current?.algorithm ?? parts.algorithm;
  const files = new Map([...(current?.files ?? []), [initdataKey, parts.document] as const, ...parts.others]);
  const isSame =
    current !== undefined &&
    files.size === current.files.size &&
    [...files].every(([name, text]) => current.files.get(name) === text);
  // Other writers have other notations for the same files: their bytes are measured, and stay.
  return isSame ? current : { algorithm, files, envelope: writeInitdataFiles(files, algorithm) };
}
