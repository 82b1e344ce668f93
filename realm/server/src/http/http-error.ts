import { STATUS_CODES } from 'node:http';

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
export function errorAnswer({ status, code, message }: HttpError): {
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
export function errorBytes(error: HttpError): string {
  const { headers, body } = errorAnswer(error);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}\r\n${lines.join('')}\r\n${body}`;
}
