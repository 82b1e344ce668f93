// Unary gRPC calls over a unix socket, as far as a CRI server needs them.
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';

/** A reply with another status than OK. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: number;

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message} (status ${code})`);
    this.code = code;
  }
}

/** The status of a call whose time limit has passed. */
export const deadlineExceeded = 4;

/** A connection to a server of gRPC. */
export class GrpcConnection {
  readonly #session: ClientHttp2Session;

  constructor(socket: string) {
    this.#session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
    // A failed connection also fails each call, whose error the caller gets.
    this.#session.on('error', () => undefined);
  }

  /** Calls a method; fails after a number of seconds without a reply. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    seconds = 120,
  ): Promise<MessageShape<O>> {
    const body = toBinary(method.input, create(method.input, request));
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': `/${method.parent.typeName}/${method.name}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.setTimeout(seconds * 1000, () =>
      stream.destroy(new Error(`${method.name}: no reply within ${seconds} s`)),
    );
    let status: Status | undefined;
    const readStatus = (headers: IncomingHttpHeaders): void => {
      status = statusOf(headers) ?? status;
    };
    stream.on('response', readStatus).on('trailers', readStatus);
    stream.end(frame(body));
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const { code, message } = status ?? { code: 2, message: 'the reply has no status' };
    if (code !== 0) throw new GrpcError(method.name, code, message);
    return fromBinary(method.output, unframe(Buffer.concat(chunks)));
  }

  close(): void {
    this.#session.destroy();
  }
}

interface Status {
  readonly code: number;
  readonly message: string;
}

/** Returns the status in the headers or trailers of a reply. */
function statusOf(headers: IncomingHttpHeaders): Status | undefined {
  const { 'grpc-status': code, 'grpc-message': message = '' } = headers;
  return typeof code === 'string' && typeof message === 'string'
    ? { code: Number(code), message: decodeURIComponent(message) }
    : undefined;
}

/** Bytes before a message: whether it is compressed, and its length. */
const prefixBytes = 5;

function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function unframe(bytes: Buffer): Buffer {
  return bytes.subarray(prefixBytes);
}
