import type { IncomingMessage } from 'node:http';
import { performance } from 'node:perf_hooks';
import { ImageError } from '../errors/image-error.js';
import type { TransportLimits } from './transport-limits.js';

/** The sender of an answer. */
export interface Sender {
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
