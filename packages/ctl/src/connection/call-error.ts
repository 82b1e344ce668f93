import type { DescMethod } from '@bufbuild/protobuf';
import { codeName, type TtrpcError } from '@kata-agent/ttrpc';

/** A call that the agent, or the connection to it, answered with an error: that error and the method it came from. */
export class CallError extends Error {
  readonly method: DescMethod;
  readonly code: number;
  /** The status by its name: `NOT_FOUND`. */
  readonly status: string;
  /** The message as the agent sent it. */
  readonly said: string;

  constructor(method: DescMethod, error: TtrpcError) {
    super(`${method.name}: ${codeName(error.code)}: ${error.message}`, { cause: error });
    this.name = 'CallError';
    this.method = method;
    this.code = error.code;
    this.status = codeName(error.code);
    this.said = error.message;
  }
}
