import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AnyGuest } from '../guest.js';

/** Time in which a refused client can take the answer, in ms. */
const refusalMs = 5_000;

/** The protocol that an operator asks for. What follows depends on the relay of the guest. */
export const upgradeToken: string = 'kata-agent-ttrpc/1';

/** An answer other than success. `code` is for programs, `message` for people. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'HttpError';
    this.status = status;
    this.code = code;
  }
}

export function badRequest(message: string): HttpError {
  return new HttpError(400, 'bad_request', message);
}

/** The answer for a guest that does not exist, and for one that the operator may not list: they do not differ. */
export function noSuchGuest(name: string): HttpError {
  return new HttpError(404, 'no_such_guest', `no guest '${name}' is connected that you may list`);
}

/** Returns the headers and the body of an error. The connection ends with it: a body of the request can be left. */
function errorAnswer({ status, code, message }: HttpError): {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  const body = `${JSON.stringify({ error: { code, message } })}\n`;
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    Connection: 'close',
    ...(status === 405 ? { Allow: 'GET, POST' } : {}),
    ...(status === 426 ? { Upgrade: upgradeToken } : {}),
  };
  return { headers, body };
}

/** Returns an error as bytes of HTTP/1.1, for a connection that Node.js has handed over. */
function errorBytes(error: HttpError): string {
  const { headers, body } = errorAnswer(error);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}\r\n${lines.join('')}\r\n${body}`;
}

/** Throws an HttpError if a request has a body. */
export function withoutBody({ headers }: IncomingMessage): void {
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0')
    throw badRequest('no body is taken here');
}

export function sendJson(response: ServerResponse, value: object): void {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

/** Answers with an error, or breaks off an answer that has begun: it must not look complete. */
export function sendError(response: ServerResponse, error: HttpError): void {
  if (response.headersSent) {
    const timer = setTimeout(() => response.destroy(), refusalMs);
    response.once('close', () => clearTimeout(timer));
    response.socket?.destroySoon();
    return;
  }
  const { headers, body } = errorAnswer(error);
  response.writeHead(error.status, headers).end(body);
}

/** The answer that accepts an Upgrade. */
export function switchingTo({ relay, id }: AnyGuest): string {
  const headers = [
    'Connection: Upgrade',
    `Upgrade: ${upgradeToken}`,
    `Kata-Agent-Relay: ${relay}`,
    `Kata-Agent-Guest: ${id}`,
  ];
  return `HTTP/1.1 101 Switching Protocols\r\n${headers.join('\r\n')}\r\n\r\n`;
}

/**
 * Refuses an Upgrade. What the client has sent is read until it ends, since a reset could overtake the answer.
 */
export function refuseUpgrade(socket: Duplex, error: HttpError): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), refusalMs);
  socket.once('close', () => clearTimeout(timer));
  // Without an error: a stream that is both written and read to its end destroys itself.
  socket.end(errorBytes(error));
  socket.resume();
}
