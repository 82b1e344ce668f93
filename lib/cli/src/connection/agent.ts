import type { Socket } from 'node:net';
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Code, codeName, connect, TtrpcError } from '@kata-agent/ttrpc';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { Management } from '@kata-agent/protocol/management';

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

/** Evidence of the agent at the other end of a connection, and what this end knows of the connection. */
interface ConnectionEvidence {
  readonly bundle: Uint8Array;
  /** The channel that the claims must have. Undefined: the connection is not TLS with the agent, and this end cannot tell. */
  readonly channel: string | undefined;
  /** SHA-256 of the public key of the other end, in hex. Undefined: the same. */
  readonly tlsSpki: string | undefined;
}

/** Calls Attest in a connection. Rejects with a CallError. */
export async function attestConnection(
  { agent, socket, direct, spki }: AgentConnection,
  nonce: Uint8Array,
  timeoutMs?: number,
): Promise<ConnectionEvidence> {
  const { bundle } = await agent.call(
    Management.method.attest,
    { nonce },
    timeoutMs === undefined ? {} : { timeoutMs },
  );
  if (!direct || !(socket instanceof TLSSocket)) return { bundle, channel: undefined, tlsSpki: undefined };
  const exporter = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  return { bundle, channel: `tls-exporter:${exporter.toString('hex')}`, tlsSpki: spki };
}

/** A connection to an agent. */
export interface AgentConnection {
  readonly agent: Agent;
  readonly socket: Socket;
  /** The other end of the connection's TLS is the agent itself, and not a realm. */
  readonly direct: boolean;
  /** SHA-256 of the public key of the other end, in hex, with `direct`. */
  readonly spki: string | undefined;
}

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
