import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AnyGuest } from '../guest.js';
import { badRequest, errorAnswer, errorBytes, type HttpError, upgradeToken } from '../http/http-error.js';

/** Time in which a refused client can take the answer, in ms. */
const refusalMs = 5_000;

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
