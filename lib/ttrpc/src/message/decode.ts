import { fromBinary, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import { Code } from '../status/code.js';
import { describeError } from '../status/describe-error.js';
import type { Limits } from '../limits.js';
import { opaque, opaqueSchema } from '../frame/opaque.js';
import { scan, type UnknownFields } from './scan.js';
import { TtrpcError } from '../status/ttrpc-error.js';

const options = { readUnknownFields: false };

/**
 * Scans and decodes a message from the peer. Unknown fields are dropped, or the message is rejected; `bytes` fields are views of the frame. Throws
 * a TtrpcError: RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
 */
export function decodeMessage<D extends DescMessage>(
  descriptor: D,
  payload: Uint8Array,
  limits: Pick<Limits, 'requestFields' | 'requestDepth'>,
  unknown?: UnknownFields,
): MessageShape<D> {
  if (descriptor === opaqueSchema) return opaque(payload) as Message as MessageShape<D>;
  scan(descriptor, payload, limits, unknown);
  try {
    return fromBinary(descriptor, payload, options);
  } catch (cause) {
    const text = `cannot decode ${descriptor.typeName}: ${describeError(cause)}`;
    throw new TtrpcError(Code.InvalidArgument, text, { cause });
  }
}
