import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Code, connect, TtrpcError } from '@kata-agent/ttrpc';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CallError } from './call-error.js';

interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds; sent to the agent, and enforced here too. */
  readonly timeoutMs?: number;
}

/** A connected agent. */
export interface Agent {
  /** Calls one method. Rejects with a CallError that has the method's name. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;
  /**
   * Calls a method with a stream of replies, which ends without an error when `over` is aborted. Throws a CallError that
   * has the method's name.
   */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    over: AbortController,
  ): AsyncIterable<MessageShape<O>>;
  /** Reports whether the connection is closed: an error is then caused by that, and is not the agent's answer. */
  gone(): Promise<boolean>;
  close(): void;
}

/**
 * Speaks ttRPC over a connected stream; `close` ends the stream. If the connection ends before the agent has sent a byte,
 * calls reject with the error that `unanswered` returns, if it is given.
 */
export function openAgent(stream: Duplex, unanswered?: (cause: Error) => Error): Agent {
  const channel = connect(stream);
  let answered = false;
  stream.once('data', () => {
    answered = true;
  });
  return {
    call: async (method, request, options = {}) => {
      try {
        const reply = await channel.call(method, create(method.input, request), options);
        return reply as MessageShape<typeof method.output>;
      } catch (error) {
        if (!(error instanceof TtrpcError)) throw error;
        if (!answered && error.code === Code.Unavailable && unanswered !== undefined) throw unanswered(error);
        throw new CallError(method, error);
      }
    },
    stream: async function* (method, request, { signal }) {
      try {
        for await (const reply of channel.stream(method, create(method.input, request), { signal }))
          yield reply as MessageShape<typeof method.output>;
      } catch (error) {
        if (signal.aborted) return;
        throw error instanceof TtrpcError ? new CallError(method, error) : error;
      }
    },
    gone: () => Promise.race([channel.closed.then(() => true), nextTurn(false)]),
    close: () => channel.close(),
  };
}
