import { isRecord } from '@kata-agent/base';
import type { NetworkPlace } from '@kata-agent/linux';
import {
  type Digest,
  ImageError,
  type ImageErrorCode,
  imageErrorCodes,
  maxDocumentBytes,
  maxDocumentsBytes,
} from '@kata-agent/registry';
import type { WrappedKey } from '../encryption/layer-cipher.js';
import type { SentDocument } from '../manifest/image-documents.js';
import type { PullSettings } from '../pull/pull-request.js';
import { LayerError } from '../unpack/layer-error.js';
import type { ChildOutcome } from './run-child.js';

/** What the agent sends to the process that pulls, as one line of JSON. */
export interface PullChildRequest {
  readonly reference: string;
  readonly settings: PullSettings;
  readonly totalMs: number;
  readonly userAgent: string;
  /** Absent: registries are reached directly. */
  readonly proxy?: NetworkPlace | undefined;
}

/** A manifest or index as the process has fetched it. */
export interface SentManifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** What the process asks of the agent. */
export type PullQuestion =
  | { readonly kind: 'key'; readonly key: WrappedKey }
  /** Whose keys it will ask for. */
  | { readonly kind: 'manifests'; readonly manifests: readonly SentManifest[] };

/** Characters of a line, which has all documents in base64. */
export const pullLineLength: number = 2 * maxDocumentsBytes;
/** An index and a manifest, a configuration, and up to 16 signatures of two objects in two formats, with their manifests and lists. */
const maxDocuments = 160;
/** An index and a manifest. */
const maxManifests = 2;
/** Of base64. */
const documentLength = Math.ceil(maxDocumentBytes / 3) * 4;
/** Of base64: a packet has about 700 bytes for each recipient. */
const packetLength = 128 * 1024;
const textLength = 1_000;
const documentKinds: Readonly<Record<SentDocument['kind'], true>> = {
  manifest: true,
  referrers: true,
  attachment: true,
  signature: true,
  configuration: true,
};

/** Returns the name of a blob's file in the blob directory. */
export function blobFile(digest: Digest): string {
  return digest.replace(':', '-');
}

/** Returns the name of the file with the bytes of an encrypted layer, by the layer's index. */
export function decryptedFile(index: number): string {
  return `decrypted-${index}`;
}

/** What the process sends, besides errors and questions. */
type PullMessage =
  | ChildOutcome<undefined, PullQuestion>
  /** Before it fetches layers. */
  | { readonly kind: 'documents'; readonly documents: readonly SentDocument[] }
  /** The bytes of a layer are in this file. */
  | { readonly kind: 'fetched'; readonly file: string };

/** Parses a line of the child. It has talked to a registry: each value is checked again. Throws a LayerError for one of no known form. */
export function parsePullMessage(line: string): PullMessage {
  const value = parseJson(line);
  if (value.progress === true) return { kind: 'progress' };
  if (isRecord(value.unwrap)) {
    const { scheme, packet } = value.unwrap;
    const encoded = text(packet);
    if (encoded.length > packetLength) throw invalid();
    return {
      kind: 'question',
      question: { kind: 'key', key: { scheme: text(scheme), packet: Buffer.from(encoded, 'base64') } },
    };
  }
  if (value.manifests !== undefined)
    return { kind: 'question', question: { kind: 'manifests', manifests: manifestsOf(value.manifests) } };
  if (value.documents !== undefined) return { kind: 'documents', documents: documentsOf(value.documents) };
  if (value.fetched !== undefined) return { kind: 'fetched', file: text(value.fetched) };
  if (value.done === true) return { kind: 'result', result: undefined };
  if (!isRecord(value.error)) throw invalid();
  const message = withoutControls(text(value.error.message));
  const { code } = value.error;
  const error = isImageCode(code) ? new ImageError(code, message) : new LayerError('child', message);
  return { kind: 'error', error };
}

/** Parses the documents that the process has read. Which image they are is not decided by the process: `verifyImage`. */
function documentsOf(value: unknown): readonly SentDocument[] {
  if (!Array.isArray(value) || value.length > maxDocuments) throw invalid();
  return value.map((each: unknown) => {
    if (!isRecord(each)) throw invalid();
    const { kind, name, content } = each;
    if (!isDocumentKind(kind)) throw invalid();
    if (content === undefined) return { kind, name: text(name) };
    if (!isRecord(content)) throw invalid();
    return {
      kind,
      name: text(name),
      content: { mediaType: text(content.mediaType), bytes: documentBytes(content.bytes) },
    };
  });
}

function isDocumentKind(kind: unknown): kind is SentDocument['kind'] {
  return typeof kind === 'string' && Object.hasOwn(documentKinds, kind);
}

function documentBytes(value: unknown): Buffer {
  const encoded = text(value);
  if (encoded.length > documentLength) throw invalid();
  return Buffer.from(encoded, 'base64');
}

function manifestsOf(value: unknown): readonly SentManifest[] {
  if (!Array.isArray(value) || value.length > maxManifests) throw invalid();
  return value.map((each: unknown) => {
    if (!isRecord(each)) throw invalid();
    return { mediaType: text(each.mediaType), bytes: documentBytes(each.bytes) };
  });
}

type Members = Readonly<Record<string, unknown>>;

function parseJson(line: string): Members {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw invalid();
  }
  if (!isRecord(value)) throw invalid();
  return value;
}

function isImageCode(code: unknown): code is ImageErrorCode {
  return typeof code === 'string' && Object.hasOwn(imageErrorCodes, code);
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw invalid();
  return value;
}

function withoutControls(value: string): string {
  return value.slice(0, textLength).replaceAll(/(?!\n)\p{Cc}/gu, '\u{fffd}');
}

function invalid(): LayerError {
  return new LayerError('child', 'the process that pulls the image sent a message of no known form');
}
