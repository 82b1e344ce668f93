import type { IncomingMessage, ServerResponse } from 'node:http';
import { Slots } from '@kata-agent/connection-limits';
import { type HttpAnswer, maxAddCheckpointBytes } from '@kata-agent/tlog';
import { rationed } from '../realm-log.js';

/** Of one guest: an agent asks after each heartbeat, or each second while there are changes, and again after a conflict. */
const ofGuest = { burst: 30, perSecond: 2, atOnce: 4 };
/** Guests that are remembered, the last ones. */
const maxGuests = 8_192;

export interface WitnessRequestsOptions {
  /** Undefined: this realm is no witness. */
  readonly addCheckpoint: ((id: string, body: Buffer) => Promise<HttpAnswer>) | undefined;
  /** Whether a guest is accepted and connected. */
  readonly isConnected: (id: string) => boolean;
  /** Is called with each answer; `why`: what was refused. */
  readonly onAnswer: (id: string, status: number, why: string | undefined) => void;
}

/** Reports whether a request is one to a witness, of any prefix. */
export function isWitnessRequest({ url = '' }: Pick<IncomingMessage, 'url'>): boolean {
  return /^\/(?:[^?#]*\/)?add-checkpoint$/.test(url);
}

/**
 * Answers `POST PREFIX/add-checkpoint` of guests, one in each connection, whose time is bounded by its listener. What costs more
 * than an answer is done for connected guests only.
 */
export class WitnessRequests {
  readonly #options: WitnessRequestsOptions;
  readonly #paces = new Map<string, () => number | undefined>();
  readonly #underWay = new Slots(ofGuest.atOnce);

  constructor(options: WitnessRequestsOptions) {
    this.#options = options;
  }

  /** Never rejects. `id`: of the key that the handshake has proven. */
  async serve(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(id, request).catch((error: Error) => ({
      ...refused(503, 'the realm cannot decide now: ask again'),
      why: error.message,
    }));
    if (response.destroyed) return;
    const { status, contentType, body, why } = answer;
    this.#options.onAnswer(
      id,
      status,
      status === 200 || status === 409 ? undefined : (why ?? body.trimEnd()),
    );
    response.writeHead(status, {
      Connection: 'close',
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      ...(status === 405 ? { Allow: 'POST' } : {}),
    });
    response.end(body);
  }

  async #answer(id: string, request: IncomingMessage): Promise<HttpAnswer & { readonly why?: string }> {
    const { addCheckpoint, isConnected } = this.#options;
    if (addCheckpoint === undefined)
      return refused(404, 'this realm is no witness: it was started without --witness-key');
    if (request.method !== 'POST') return refused(405, 'the method is not POST');
    if (!isConnected(id))
      return refused(404, 'no guest with this key is connected: the control connection comes first');
    const release = this.#underWay.take(id);
    if (release === undefined) return refused(429, `${ofGuest.atOnce} requests of this guest are under way`);
    try {
      if (!this.#isPaced(id)) return refused(429, 'the guest has asked too often: ask again in a second');
      const body = await bodyOf(request);
      if (body === undefined) return refused(413, `the body has more than ${maxAddCheckpointBytes} bytes`);
      return await addCheckpoint(id, body);
    } finally {
      release();
    }
  }

  #isPaced(id: string): boolean {
    const pace = this.#paces.get(id) ?? rationed(ofGuest.burst, ofGuest.perSecond);
    this.#paces.delete(id);
    this.#paces.set(id, pace);
    const [oldest] = this.#paces.keys();
    if (this.#paces.size > maxGuests && oldest !== undefined) this.#paces.delete(oldest);
    return pace() !== undefined;
  }
}

/** Undefined: it is too long; then it is not read on. Rejects if the connection ends before. */
function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const isTooLong = (): boolean => {
      if (length <= maxAddCheckpointBytes) return false;
      request.pause().removeAllListeners('data');
      resolve(undefined);
      return true;
    };
    length = Number(request.headers['content-length'] ?? 0);
    if (isTooLong()) return;
    length = 0;
    request.on('data', (part: Buffer) => {
      length += part.length;
      if (!isTooLong()) parts.push(part);
    });
    request.once('end', () => resolve(Buffer.concat(parts)));
    request.once('close', () => reject(new Error('the connection has ended')));
    request.once('error', reject);
  });
}

function refused(status: number, reason: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${reason}\n` };
}
