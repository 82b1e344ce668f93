import { request } from 'node:http';
import { connectServer, hostHeader, type ServerOptions } from '../listeners/dial/connect-server.js';
import type { WitnessAnswer } from './decide-answer.js';

/** From the first packet to the last byte of the answer. */
const deadlineMs = 10_000;
/** The headers of an answer have no more bytes. */
const maxHeaderBytes = 8_192;
/** A few cosignatures. */
const maxBodyBytes = 16 * 1024;

/**
 * Sends a request to a witness, in a connection of its own. Follows no redirect. Rejects with a DialFailure, or another Error
 * whose message has no text of the witness.
 */
export async function postCheckpoint(
  server: ServerOptions,
  body: string,
  ending: AbortSignal,
  timeoutMs: number = deadlineMs,
): Promise<WitnessAnswer> {
  const attempt = new AbortController();
  const abort = (): void => attempt.abort(new Error('the agent ends'));
  const timer = setTimeout(
    () => attempt.abort(new Error(`no answer within ${timeoutMs / 1_000} s`)),
    timeoutMs,
  );
  ending.addEventListener('abort', abort);
  if (ending.aborted) abort();
  try {
    const { stream } = await connectServer(server, attempt.signal);
    try {
      return await exchange(stream, server, body, attempt.signal);
    } finally {
      stream.destroy();
    }
  } catch (error) {
    throw attempt.signal.aborted ? (attempt.signal.reason as Error) : error;
  } finally {
    clearTimeout(timer);
    ending.removeEventListener('abort', abort);
  }
}

function exchange(
  stream: Awaited<ReturnType<typeof connectServer>>['stream'],
  { address }: ServerOptions,
  body: string,
  signal: AbortSignal,
): Promise<WitnessAnswer> {
  return new Promise<WitnessAnswer>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    const asked = request({
      // Without an HTTP agent: the connection is not shared, and no proxy of the environment is used.
      createConnection: () => stream,
      method: 'POST',
      path: `${address.path.replace(/\/$/, '')}/add-checkpoint`,
      setHost: false,
      headers: {
        Host: hostHeader(address),
        Connection: 'close',
        'Content-Type': 'text/plain; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
      },
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    asked.on('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`its answer ended early: ${error.code ?? 'unknown error'}`)),
    );
    // Any number could follow: none is expected.
    asked.on('information', ({ statusCode }) => reject(new Error(`it answers with status ${statusCode}`)));
    asked.on('upgrade', ({ statusCode }) => reject(new Error(`it answers with status ${statusCode}`)));
    asked.on('response', (answer) => {
      const { statusCode: status = 0 } = answer;
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('error', () => reject(new Error('its answer ended early')));
      // Of others nothing is read.
      if (status !== 200 && status !== 409) resolve({ status, body: new Uint8Array() });
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxBodyBytes) reject(new Error(`its answer has more than ${maxBodyBytes} bytes`));
        else chunks.push(chunk);
        if (length > maxBodyBytes) stream.destroy();
      });
      answer.on('end', () => resolve({ status, body: Buffer.concat(chunks) }));
    });
    asked.end(body);
  });
}
