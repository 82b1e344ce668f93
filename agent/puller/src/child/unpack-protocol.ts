import { isRecord } from '@kata-agent/base';
import { LayerError, type LayerErrorCode } from '../unpack/layer-error.js';
import type { UnpackLimits } from '../unpack/budget.js';
import type { LayerDescription } from '../unpack/unpack-layer.js';

/** A layer whose verified blob is a file of the blob directory. */
export interface LayerFile extends LayerDescription {
  /** A plain file name. */
  readonly file: string;
}

/** What the agent sends, as one line of JSON; then a line for each layer whose blob is complete, in the order of the layers. */
export interface UnpackRequest {
  /** From the lowest to the topmost. */
  readonly layers: readonly LayerFile[];
  readonly limits: UnpackLimits;
}

/** How far the child is. */
export interface UnpackProgress {
  /** Index of the layer in hand. */
  readonly layer: number;
  /** Uncompressed bytes of all layers so far. */
  readonly bytes: number;
  readonly entries: number;
}

/** What an unpacked image is. */
export interface UnpackResult {
  readonly entries: number;
  readonly files: number;
  readonly bytes: number;
  readonly milliseconds: number;
  /** Bytes that the child had resident at most. */
  readonly peakMemory: number;
  /** Extended attributes that were not kept, with the number of entries. */
  readonly droppedAttributes: Readonly<Record<string, number>>;
}

/** What the child sends, each as one line of JSON. */
export type ChildMessage =
  | { readonly kind: 'progress'; readonly progress: UnpackProgress }
  | { readonly kind: 'result'; readonly result: UnpackResult }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly layer?: number };

/** Bytes of a line in either direction. */
export const lineLength: number = 256 * 1024;
const fileName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$/;
const errorCodes: Readonly<Record<LayerErrorCode, true>> = {
  compression: true,
  'diff-id': true,
  header: true,
  truncated: true,
  trailing: true,
  unsupported: true,
  name: true,
  parent: true,
  device: true,
  'hard-link': true,
  'symbolic-link': true,
  whiteout: true,
  duplicate: true,
  attribute: true,
  owner: true,
  limit: true,
  space: true,
  system: true,
  child: true,
};

/** Checks a request in the agent, before a process is started for it. */
export function checkRequest({ layers }: UnpackRequest): void {
  const bad = layers.find(({ file }) => !fileName.test(file));
  if (bad !== undefined) throw new LayerError('child', `${JSON.stringify(bad.file)} is no plain file name`);
}

/**
 * Parses a line of the child. The child has read hostile layers: nothing of the line is believed but numbers, codes and
 * a text of limited length.
 */
export function parseMessage(line: string): ChildMessage {
  const value: unknown = parseJson(line);
  if (!isRecord(value)) throw invalid();
  const { progress, result, error } = value;
  if (isRecord(progress))
    return {
      kind: 'progress',
      progress: {
        layer: count(progress.layer),
        bytes: count(progress.bytes),
        entries: count(progress.entries),
      },
    };
  if (isRecord(result))
    return {
      kind: 'result',
      result: {
        entries: count(result.entries),
        files: count(result.files),
        bytes: count(result.bytes),
        milliseconds: count(result.milliseconds),
        peakMemory: count(result.peakMemory),
        droppedAttributes: counts(result.droppedAttributes),
      },
    };
  if (!isRecord(error)) throw invalid();
  return {
    kind: 'error',
    code: typeof error.code === 'string' && error.code in errorCodes ? error.code : 'child',
    message: text(error.message),
    ...(error.layer === undefined ? {} : { layer: count(error.layer) }),
  };
}

/** Converts an error message of the child to the error that it had. */
export function messageError({ code, message, layer }: ChildMessage & { kind: 'error' }): LayerError {
  const where = layer === undefined ? '' : `layer ${layer + 1}: `;
  return new LayerError(code as LayerErrorCode, `${where}${message}`);
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw invalid();
  }
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw invalid();
  return value;
}

function counts(value: unknown): Readonly<Record<string, number>> {
  if (!isRecord(value)) throw invalid();
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 64)
      .map(([name, number]) => [text(name), count(number)]),
  );
}

/** Without control characters but the line end in front of `help:`, at most 1000 characters. */
function text(value: unknown): string {
  if (typeof value !== 'string') throw invalid();
  return value.slice(0, 1000).replaceAll(/(?!\n)\p{Cc}/gu, '\u{fffd}');
}

function invalid(): LayerError {
  return new LayerError('child', 'the process that unpacks the image sent a message of no known form');
}
