import { type IncomingMessage, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { formatNetworkPlace, type HttpProxy, type NetworkPlace } from '@kata-agent/linux';
import { ImageError } from '../errors/image-error.js';
import { connectTls } from './connect-tls.js';

/** Bounds on each answer. */
export interface TransportLimits {
  /** For the connection: the proxy, TCP and TLS. */
  readonly connectMs: number;
  /** From the request to the end of the answer's headers. */
  readonly headersMs: number;
  /** The least rate of a body: so many bytes in each window of waiting for the server. Time that we need does not count. */
  readonly windowBytes: number;
  readonly windowMs: number;
}

/** 10 kB/s: slower than any network that pulls an image, and 7 minutes for 4 MiB. */
export const defaultTransportLimits: TransportLimits = {
  connectMs: 30_000,
  headersMs: 60_000,
  windowBytes: 200_000,
  windowMs: 20_000,
};

export interface TransportOptions {
  /** Each CA as PEM. Empty: the CAs of Node.js, and never those of the environment. */
  readonly ca: readonly string[];
  /** Returns the proxy of a server; undefined: it is reached directly. Absent: each is. */
  readonly proxyOf?: (place: NetworkPlace) => HttpProxy | undefined;
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
    const { limits, proxyOf, signal, userAgent } = this.#options;
    if (url.protocol !== 'https:') throw new ImageError('redirect-refused', 'only https is used');
    const place = placeOf(url);
    const proxy = proxyOf?.(place);
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

/** The sender of an answer. */
interface Sender {
  /** For messages. */
  readonly name: string;
  /** Undefined: behind a proxy. */
  readonly address: string | undefined;
}

/** An answer whose body is read as it comes. One of `body`, `bytes` and `discard` ends the connection. */
export class Answer {
  readonly #message: IncomingMessage;
  readonly #place: string;
  /** The address of the server; undefined: behind a proxy. */
  readonly address: string | undefined;
  readonly #limits: TransportLimits;

  constructor(message: IncomingMessage, sender: Sender, limits: TransportLimits) {
    this.#message = message;
    this.#place = sender.name;
    this.address = sender.address;
    this.#limits = limits;
    // An answer that nobody reads can end with an error too.
    message.on('error', () => undefined);
  }

  get status(): number {
    return this.#message.statusCode ?? 0;
  }

  /** Returns a header. Undefined when it is absent, or sent several times. */
  header(name: string): string | undefined {
    const values = this.#message.headersDistinct[name];
    return values?.length === 1 ? values[0] : undefined;
  }

  /** Returns each value of a header. */
  headers(name: string): readonly string[] {
    return this.#message.headersDistinct[name] ?? [];
  }

  /** Returns the media type without parameters. */
  get mediaType(): string | undefined {
    return this.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  }

  /** Ends the connection. */
  discard(): void {
    this.#message.destroy();
  }

  /** Reads a body of at most `maxBytes`. */
  async bytes(maxBytes: number, what: string): Promise<Buffer> {
    const tooLarge = (): ImageError =>
      new ImageError('answer-too-large', `${what} has more than ${maxBytes} bytes`);
    const parts: Buffer[] = [];
    let length = 0;
    if (Number(this.header('content-length') ?? 0) > maxBytes) {
      this.discard();
      throw tooLarge();
    }
    for await (const part of this.body()) {
      length += part.length;
      if (length > maxBytes) throw tooLarge();
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  /**
   * Yields the body as it comes. Throws `too-slow` when the server sends less than the least rate, and `registry-unreachable` when
   * the connection ends before the body.
   */
  async *body(): AsyncGenerator<Buffer, void> {
    const { windowBytes, windowMs } = this.#limits;
    const encoding = this.header('content-encoding');
    if (encoding !== undefined && encoding !== 'identity') {
      this.discard();
      throw new ImageError('answer-invalid', `${this.#place} answers with a content encoding`);
    }
    let received = 0;
    let waited = 0;
    let slow = false;
    const parts = this.#message[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    try {
      for (;;) {
        const begun = performance.now();
        const timer = setTimeout(() => {
          slow = true;
          this.#message.destroy();
        }, windowMs - waited);
        const part = await parts.next().finally(() => clearTimeout(timer));
        if (slow) throw this.#tooSlow();
        if (part.done === true) return;
        received += part.value.length;
        waited += performance.now() - begun;
        if (received >= windowBytes) received = waited = 0;
        else if (waited >= windowMs) throw this.#tooSlow();
        yield part.value;
      }
    } catch (error) {
      if (slow) throw this.#tooSlow();
      if (error instanceof ImageError) throw error;
      throw new ImageError(
        'registry-unreachable',
        `${this.#place} ended the connection before the end of its answer`,
      );
    } finally {
      this.discard();
    }
  }

  #tooSlow(): ImageError {
    const { windowBytes, windowMs } = this.#limits;
    return new ImageError(
      'too-slow',
      `${this.#place} sends fewer than ${windowBytes} bytes in ${windowMs / 1000} s`,
    );
  }
}
