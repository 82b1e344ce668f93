import type { Any } from '@bufbuild/protobuf/wkt';
import { codeName, type Code } from './code.js';

/**
 * A failed call: code, message and details of google.rpc.Status. When a handler throws it, it is sent as it is; a
 * client call rejects with it.
 */
export class TtrpcError extends Error {
  readonly code: Code;
  readonly details: readonly Any[];

  constructor(code: Code, message: string, options: { details?: readonly Any[]; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = `TtrpcError(${codeName(code)})`;
    this.code = code;
    this.details = options.details ?? [];
  }
}
