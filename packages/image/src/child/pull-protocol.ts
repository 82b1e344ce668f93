import type { NetworkPlace } from '@kata-agent/linux';
import { ImageError } from '../errors/image-error.js';
import { type ImageErrorCode, imageErrorCodes } from '../errors/image-error-codes.js';
import type { ImageProcess } from '../manifest/image-config.js';
import { type Digest, isDigest } from '../reference/digest.js';
import type { WrappedKey } from '../encryption/wrapped-keys.js';
import type { PullSettings } from '../pull/pull-request.js';
import { LayerError } from '../unpack/layer-error.js';
import type { LayerFile } from './protocol.js';
import type { ChildOutcome } from './converse.js';

/** What the agent sends to the process that pulls, as one line of JSON. */
export interface PullChildRequest {
  readonly reference: string;
  readonly settings: PullSettings;
  readonly totalMs: number;
  readonly userAgent: string;
  /** Absent: registries are reached directly. */
  readonly proxy?: NetworkPlace | undefined;
}

/** An image whose verified blobs are files of the blob directory. */
export interface ChildPulledImage {
  /** Normalized. */
  readonly reference: string;
  readonly digest: Digest;
  readonly manifestDigest: Digest;
  /** Without labels, which nobody reads. */
  readonly process: Omit<ImageProcess, 'labels'>;
  /** The lowest first. */
  readonly layers: readonly LayerFile[];
  /** Of all blobs. */
  readonly bytes: number;
  /** `KEY (FORMAT, of the index)`, for the agent log. */
  readonly signatures: readonly string[];
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

/** Characters of a line: a configuration has up to 4 MiB, and so have an index and a manifest. */
export const pullLineLength: number = 16 * 1024 * 1024;
const mostLayers = 1_000;
/** An index and a manifest. */
const mostManifests = 2;
/** Of base64: 4 MiB. */
const manifestLength = 6 * 1024 * 1024;
/** Of base64: a packet has about 700 bytes for each recipient. */
const packetLength = 128 * 1024;
const textLength = 1_000;

/** Returns the name of a blob's file in the blob directory. */
export function blobFile(digest: Digest): string {
  return digest.replace(':', '-');
}

/** Returns the name of the file with the bytes of an encrypted layer, by the layer's index. */
export function decryptedFile(index: number): string {
  return `decrypted-${index}`;
}

/** Parses a line of the child. It has talked to a registry: each value is checked again. Throws a LayerError for one of no known form. */
export function parsePullMessage(line: string): ChildOutcome<ChildPulledImage, PullQuestion> {
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
  if (isRecord(value.result)) return { kind: 'result', result: imageOf(value.result) };
  if (!isRecord(value.error)) throw invalid();
  const message = withoutControls(text(value.error.message));
  const { code } = value.error;
  const error = isImageCode(code) ? new ImageError(code, message) : new LayerError('child', message);
  return { kind: 'error', error };
}

function imageOf(result: Members): ChildPulledImage {
  const { process, layers } = result;
  if (!isRecord(process) || !Array.isArray(layers) || layers.length > mostLayers) throw invalid();
  return {
    reference: withoutControls(text(result.reference)),
    digest: digest(result.digest),
    manifestDigest: digest(result.manifestDigest),
    process: {
      user: text(process.user),
      entrypoint: texts(process.entrypoint),
      command: texts(process.command),
      environment: texts(process.environment),
      workingDirectory: text(process.workingDirectory),
      volumes: texts(process.volumes),
      stopSignal: text(process.stopSignal),
    },
    layers: layers.map((layer: unknown, index) => {
      if (!isRecord(layer)) throw invalid();
      return {
        file: layer.encrypted === true ? decryptedFile(index) : blobFile(digest(layer.digest)),
        mediaType: text(layer.mediaType),
        diffId: digest(layer.diffId),
      };
    }),
    bytes: count(result.bytes),
    signatures: texts(result.signatures).map(withoutControls),
  };
}

function manifestsOf(value: unknown): readonly SentManifest[] {
  if (!Array.isArray(value) || value.length > mostManifests) throw invalid();
  return value.map((each: unknown) => {
    if (!isRecord(each)) throw invalid();
    const encoded = text(each.bytes);
    if (encoded.length > manifestLength) throw invalid();
    return { mediaType: text(each.mediaType), bytes: Buffer.from(encoded, 'base64') };
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

function isRecord(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isImageCode(code: unknown): code is ImageErrorCode {
  return typeof code === 'string' && Object.hasOwn(imageErrorCodes, code);
}

function digest(value: unknown): Digest {
  if (typeof value !== 'string' || !isDigest(value)) throw invalid();
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw invalid();
  return value;
}

function texts(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw invalid();
  return value.map(text);
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid();
  return value;
}

function withoutControls(value: string): string {
  return value.slice(0, textLength).replaceAll(/(?!\n)\p{Cc}/gu, '\u{fffd}');
}

function invalid(): LayerError {
  return new LayerError('child', 'the process that pulls the image sent a message of no known form');
}
