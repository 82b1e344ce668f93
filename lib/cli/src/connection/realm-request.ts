import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { CommandError, ExitCode } from '../command/command-error.js';
import { formatAddress, hostAndPort, type RealmAddress } from './address.js';
import { alertOf } from './tls-client.js';

/** The headers of an answer have no more bytes. */
const maxHeaderBytes = 8_192;

/** Nor has the body of an error. */
const maxErrorBytes = 8_192;

export interface RealmRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  /** The protocol to upgrade to. */
  readonly upgrade?: string;
}

/** The answer to a request; of an upgrade also what followed it. */
export interface RealmAnswer {
  readonly message: IncomingMessage;
  readonly head: Buffer;
}

/**
 * Sends one request in a connection, and resolves with an answer of 200, or 101 for an upgrade. Redirects are not followed, no
 * other answer comes first, and no proxy of the environment is used. Rejects with a CommandError for any other answer.
 */
export function askRealm(
  socket: TLSSocket,
  address: RealmAddress,
  asked: RealmRequest,
): Promise<RealmAnswer> {
  const { method, path, body, upgrade } = asked;
  const text = body === undefined ? '' : JSON.stringify(body);
  return new Promise<RealmAnswer>((resolve, reject) => {
    const sent: ClientRequest = request({
      // Without an HTTP agent: the connection is not shared, and no proxy of the environment is used.
      createConnection: () => socket,
      method,
      path,
      setHost: false,
      headers: {
        Host: hostAndPort(address),
        ...(body === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
        ...(upgrade === undefined ? { Connection: 'close' } : { Connection: 'Upgrade', Upgrade: upgrade }),
      },
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    const fail = (error: Error): void => {
      reject(error);
      socket.destroy();
    };
    sent.on('error', (error: NodeJS.ErrnoException) => fail(noAnswer(address, error)));
    sent.on('information', ({ statusCode }) => fail(unexpected(address, `${statusCode}`)));
    sent.on('response', (message) => {
      if (message.statusCode === 200 && upgrade === undefined) resolve({ message, head: Buffer.alloc(0) });
      else void errorOf(address, message).then(fail);
    });
    sent.on('upgrade', (message, _socket, head: Buffer) => {
      if (message.statusCode === 101 && upgrade !== undefined && message.headers.upgrade === upgrade)
        resolve({ message, head });
      else fail(unexpected(address, 'with another protocol'));
    });
    sent.end(text);
  });
}

/** Converts an answer to the error that it reports. */
async function errorOf(address: RealmAddress, message: IncomingMessage): Promise<CommandError> {
  const { statusCode = 0 } = message;
  const known = statuses[statusCode];
  const text = await messageOf(message);
  if (known === undefined) return unexpected(address, `${statusCode}${text === '' ? '' : `: ${text}`}`);
  return new CommandError(
    known.exitCode,
    `${formatAddress(address)}: ${text === '' ? known.text : `${known.text}: ${text}`}`,
    { help: known.help },
  );
}

interface KnownStatus {
  readonly text: string;
  readonly exitCode: ExitCode;
  readonly help: readonly string[];
}

const statuses: Readonly<Record<number, KnownStatus>> = {
  400: {
    text: 'the realm does not accept the request',
    exitCode: ExitCode.Failed,
    help: ['use a kata-agent-ctl of the same version as the realm'],
  },
  403: {
    text: 'the realm denies this request',
    exitCode: ExitCode.Failed,
    help: [
      'an [[operator]] entry of its authorization file must name your certificate, the guest and the verb',
    ],
  },
  404: {
    text: 'the realm has no such guest, or none that you may list',
    exitCode: ExitCode.CannotApply,
    help: ['kata-agent-ctl realm guests lists those that are connected, and that you may list'],
  },
  429: {
    text: 'too many connections or requests',
    exitCode: ExitCode.CannotApply,
    help: ['close some connections, then try again'],
  },
  502: { text: 'the guest failed', exitCode: ExitCode.Failed, help: [] },
  503: {
    text: 'the guest cannot be reached',
    exitCode: ExitCode.CannotApply,
    help: ['try again; see the log of the realm for the reason'],
  },
};

/** Returns the realm's message; empty if the body is not one of its errors. */
async function messageOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of message as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > maxErrorBytes) return '';
      parts.push(part);
    }
    const { error } = JSON.parse(Buffer.concat(parts).toString()) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? plainText(error.message) : '';
  } catch {
    return '';
  }
}

function unexpected(address: RealmAddress, what: string): CommandError {
  return new CommandError(
    ExitCode.CannotApply,
    `the server at ${formatAddress(address)} answered ${what}: it is not a realm that this program knows`,
    { help: ['use the address at which the realm serves operators; redirects are not followed'] },
  );
}

function noAnswer(address: RealmAddress, error: NodeJS.ErrnoException): CommandError {
  const alert = alertOf(error);
  return new CommandError(
    ExitCode.CannotApply,
    `the realm at ${formatAddress(address)} closed the connection before it answered: ${alert ?? error.code ?? error.message}`,
    {
      help: [
        'see the log of the realm; common reasons: your certificate has expired, is not of a CA of its operators, or has not',
        '  clientAuth among its usages',
      ],
      cause: error,
    },
  );
}

/** Longer lines are not records. */
const maxLineBytes = 4 * 1024 * 1024;

/** Splits a body into its lines, in groups as they arrive. */
export async function* linesOfBody(message: IncomingMessage): AsyncGenerator<readonly Uint8Array[], void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const part of message as AsyncIterable<Buffer>) {
    const lines: Buffer[] = [];
    let bytes: Buffer = rest.length === 0 ? part : Buffer.concat([rest, part]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
      lines.push(bytes.subarray(0, end));
      bytes = bytes.subarray(end + 1);
    }
    rest = bytes;
    if (rest.length > maxLineBytes) throw new Error(`a line has more than ${maxLineBytes} bytes`);
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0) throw new Error('the last line is incomplete');
}

/** The longest text of a realm that is shown. */
const longest = 300;

/** Returns text of another machine without control characters of terminals, on one line, and not too long. */
export function plainText(text: string): string {
  const plain = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}
