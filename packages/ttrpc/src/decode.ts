import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { Code } from './code.js';
import type { Limits } from './limits.js';
import { scan } from './scan.js';
import { TtrpcError } from './ttrpc-error.js';

const options = { readUnknownFields: false };

/**
 * Scans and decodes a message from the peer; unknown fields are dropped. `bytes` fields are views of the frame.
 * Throws a TtrpcError: RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
 */
export function decodeMessage<D extends DescMessage>(
  descriptor: D,
  payload: Uint8Array,
  limits: Pick<Limits, 'requestFields' | 'requestDepth'>,
): MessageShape<D> {
  scan(descriptor, payload, limits);
  return decodeUnscanned(descriptor, payload);
}

/** Decodes what was scanned, or needs no scan. Throws a TtrpcError, INVALID_ARGUMENT. */
export function decodeUnscanned<D extends DescMessage>(descriptor: D, payload: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(descriptor, payload, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TtrpcError(Code.InvalidArgument, `cannot decode ${descriptor.typeName}: ${reason}`, { cause });
  }
}
