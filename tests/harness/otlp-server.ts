import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { gunzipSync } from 'node:zlib';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ClientCertificate } from './authority.js';

/** A log record, as far as tests look at it. */
export interface OtlpRecord {
  readonly resource: Readonly<Record<string, string | number>>;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly timeMs: number;
  readonly observedMs: number;
  readonly severity: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: string;
}

/** How a request is answered: `hang` never, `drop` closes the connection after the records have arrived. */
export type OtlpAnswer =
  | { readonly status: number; readonly retryAfter?: string; readonly body?: Uint8Array | string }
  | { readonly partial: { readonly rejected: number; readonly message: string } }
  | 'hang'
  | 'drop'
  | 'ok';

/** A server of OTLP/HTTP with TLS: parses what it gets, and answers as a test wants. */
export class OtlpServer {
  readonly received: OtlpRecord[] = [];
  /** Headers of the requests. */
  readonly headers: Readonly<Record<string, unknown>>[] = [];
  /** Decides for each request, by its number from 0 on. */
  answer: (request: number, records: readonly OtlpRecord[]) => OtlpAnswer = () => 'ok';
  readonly #tls: { readonly cert: string; readonly key: string; readonly ca: string };
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #requests = 0;
  port = 0;

  private constructor(tls: ClientCertificate, ca: string) {
    this.#tls = { cert: tls.cert, key: tls.key, ca };
  }

  /** `ca` signs the certificates that clients must have. */
  static async start(tls: ClientCertificate, ca: string): Promise<OtlpServer> {
    const server = new OtlpServer(tls, ca);
    await server.#listen();
    return server;
  }

  get requests(): number {
    return this.#requests;
  }

  /** Ends all connections at once, and listens again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#listen();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #listen(): Promise<void> {
    const server = createServer(
      { ...this.#tls, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', () => {
          if (this.#server !== server) return;
          this.headers.push({ ...request.headers, url: request.url });
          this.#answer(gunzipSync(Buffer.concat(parts)), response, request.socket);
        });
        request.on('error', () => undefined);
      },
    );
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
  }

  #answer(body: Uint8Array, response: ServerResponse, socket: Socket): void {
    const records = parseExport(body);
    const answer = this.answer(this.#requests, records);
    this.#requests += 1;
    if (answer === 'hang') return;
    if (answer === 'drop') {
      this.received.push(...records);
      socket.destroy();
      return;
    }
    const type = { 'content-type': 'application/x-protobuf' };
    if (typeof answer === 'object' && 'status' in answer) {
      const { status, retryAfter, body: text = '' } = answer;
      response.writeHead(status, {
        ...type,
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      });
      response.end(text);
      return;
    }
    const { rejected, message } = answer === 'ok' ? { rejected: 0, message: '' } : answer.partial;
    this.received.push(...records.slice(rejected));
    response.writeHead(200, type);
    response.end(rejected === 0 && message === '' ? '' : partialSuccess(rejected, message));
  }
}

/** ExportLogsServiceResponse with a partial_success. */
function partialSuccess(rejected: number, message: string): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .fork()
    .tag(1, WireType.Varint)
    .int64(rejected)
    .tag(2, WireType.LengthDelimited)
    .string(message)
    .join()
    .finish();
}

type Handlers = Readonly<Record<number, (reader: BinaryReader) => void>>;

/** Calls the handler of each field; other fields are skipped. */
function parse(bytes: Uint8Array, handlers: Handlers): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const handler = handlers[field];
    if (handler === undefined) reader.skip(type);
    else handler(reader);
  }
}

/** Parses an ExportLogsServiceRequest (opentelemetry-proto, logs/v1). */
function parseExport(bytes: Uint8Array): readonly OtlpRecord[] {
  const records: OtlpRecord[] = [];
  parse(bytes, {
    1: (request) => {
      let resource = {};
      const scopes: Uint8Array[] = [];
      parse(request.bytes(), {
        1: (reader) => {
          const pairs: [string, string | number][] = [];
          parse(reader.bytes(), { 1: (pair) => pairs.push(parsePair(pair.bytes())) });
          resource = Object.fromEntries(pairs);
        },
        2: (reader) => scopes.push(reader.bytes()),
      });
      for (const scope of scopes)
        parse(scope, { 2: (reader) => records.push(parseRecord(reader.bytes(), resource)) });
    },
  });
  return records;
}

function parseRecord(bytes: Uint8Array, resource: OtlpRecord['resource']): OtlpRecord {
  const record = {
    resource,
    timeMs: 0,
    observedMs: 0,
    severity: 0,
    severityText: '',
    eventName: '',
    body: '',
  };
  const pairs: [string, string | number][] = [];
  const ms = (reader: BinaryReader): number => Number(BigInt(reader.fixed64()) / 1_000_000n);
  parse(bytes, {
    1: (reader) => {
      record.timeMs = ms(reader);
    },
    2: (reader) => {
      record.severity = reader.int32();
    },
    3: (reader) => {
      record.severityText = reader.string();
    },
    5: (reader) => {
      record.body = String(parseValue(reader.bytes()));
    },
    6: (reader) => pairs.push(parsePair(reader.bytes())),
    11: (reader) => {
      record.observedMs = ms(reader);
    },
    12: (reader) => {
      record.eventName = reader.string();
    },
  });
  return { ...record, attributes: Object.fromEntries(pairs) };
}

function parsePair(bytes: Uint8Array): [string, string | number] {
  let key = '';
  let value: string | number = '';
  parse(bytes, {
    1: (reader) => {
      key = reader.string();
    },
    2: (reader) => {
      value = parseValue(reader.bytes());
    },
  });
  return [key, value];
}

/** Of AnyValue only string, int and double. */
function parseValue(bytes: Uint8Array): string | number {
  let value: string | number = '';
  parse(bytes, {
    1: (reader) => {
      value = reader.string();
    },
    3: (reader) => {
      value = Number(reader.int64());
    },
    4: (reader) => {
      value = reader.double();
    },
  });
  return value;
}
