import type { DescMethod } from '@bufbuild/protobuf';
import { codeName, type TtrpcError } from '@kata-agent/ttrpc';

/** A call that failed: the error of the agent or of the connection, and the method. */
export class CallError extends Error {
  readonly method: DescMethod;
  readonly code: number;
  /** The name of the status: `NOT_FOUND`. */
  readonly status: string;
  /** The message from the agent, unchanged. */
  readonly serverMessage: string;

  constructor(method: DescMethod, error: TtrpcError) {
    super(`${method.name}: ${codeName(error.code)}: ${error.message}`, { cause: error });
    this.name = 'CallError';
    this.method = method;
    this.code = error.code;
    this.status = codeName(error.code);
    this.serverMessage = error.message;
  }
}
