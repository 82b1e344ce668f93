import { request } from 'node:http';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { formatNetworkPlace, type NetworkPlace } from '@kata-agent/linux';
import { ImageError } from '../errors/image-error.js';
import { Answer } from './answer.js';
import { connectTls } from './connect-tls.js';
import type { TransportLimits } from './transport-limits.js';

export interface TransportOptions {
  /** Each CA as PEM. Empty: the CAs of Node.js, and never those of the environment. */
  readonly ca: readonly string[];
  readonly proxy?: NetworkPlace;
  readonly limits: TransportLimits;
  readonly userAgent: string;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

const maxHeaderBytes = 16_384;

/**
 * Sends GET requests by https, each in a connection of its own: so no request waits for another, no session is resumed, and credentials
 * of one never meet the answer of another. Follows no redirect.
 */
export class Transport {
  readonly #context: SecureContext;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#context = createSecureContext({
      ca: options.ca.length === 0 ? [...rootCertificates] : [...options.ca],
      minVersion: 'TLSv1.2',
      ciphers: 'DEFAULT:@SECLEVEL=2',
      ecdhCurve: 'X25519:P-256:P-384',
    });
  }

  /** `elsewhere`: refuses a server at a local address. Rejects with an ImageError. */
  async get(
    url: URL,
    headers: Readonly<Record<string, string>>,
    { elsewhere = false }: { readonly elsewhere?: boolean } = {},
  ): Promise<Answer> {
    const { limits, proxy, signal, userAgent } = this.#options;
    if (url.protocol !== 'https:') throw new ImageError('redirect-refused', 'only https is used');
    const place = placeOf(url);
    const name = formatNetworkPlace(place);
    const stream = await withTimeout(limits.connectMs, signal, (ends) =>
      connectTls(
        place,
        { context: this.#context, elsewhere, ...(proxy === undefined ? {} : { proxy }) },
        ends,
      ),
    );
    // Outlives this function: the body is read in the connection.
    const end = (): void => void stream.destroy();
    signal.addEventListener('abort', end);
    stream.once('close', () => signal.removeEventListener('abort', end));
    if (signal.aborted) end();
    return withTimeout(
      limits.headersMs,
      signal,
      (ends) =>
        new Promise<Answer>((resolve, reject) => {
          const fail = (error: ImageError): void => {
            reject(error);
            stream.destroy();
          };
          const asked = request({
            createConnection: () => stream,
            method: 'GET',
            path: url.pathname + url.search,
            setHost: false,
            headers: {
              Host: url.host,
              'User-Agent': userAgent,
              'Accept-Encoding': 'identity',
              ...headers,
              Connection: 'close',
            },
            maxHeaderSize: maxHeaderBytes,
            insecureHTTPParser: false,
          });
          ends.addEventListener('abort', () =>
            fail(new ImageError('too-slow', `${name} does not answer within ${limits.headersMs / 1000} s`)),
          );
          asked.on('error', (error: NodeJS.ErrnoException) =>
            fail(
              error.code?.startsWith('HPE_') === true
                ? new ImageError('answer-invalid', `${name} does not answer with HTTP/1.1 (${error.code})`)
                : new ImageError(
                    'registry-unreachable',
                    `${name} ended the connection without an answer (${error.code ?? 'unknown error'})`,
                  ),
            ),
          );
          // Any number could follow: none is expected.
          asked.on('information', () =>
            fail(new ImageError('answer-invalid', `${name} sends informational answers`)),
          );
          asked.on('upgrade', () => fail(new ImageError('answer-invalid', `${name} changes the protocol`)));
          asked.on('response', (message) =>
            resolve(
              new Answer(
                message,
                { name, address: proxy === undefined ? stream.remoteAddress : undefined },
                limits,
              ),
            ),
          );
          asked.end();
        }),
    );
  }
}

function placeOf(url: URL): NetworkPlace {
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 443 : Number(url.port),
  };
}

/** Runs `work` with a signal that aborts after a time, or with `signal`. */
async function withTimeout<T>(
  milliseconds: number,
  signal: AbortSignal,
  work: (ends: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw canceled();
  const ends = new AbortController();
  const abort = (): void => ends.abort(new Error(`not within ${milliseconds / 1000} s`));
  const timer = setTimeout(abort, milliseconds);
  signal.addEventListener('abort', abort);
  try {
    return await work(ends.signal);
  } catch (error) {
    throw signal.aborted ? canceled() : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function canceled(): ImageError {
  return new ImageError('canceled', 'the pull was ended');
}
