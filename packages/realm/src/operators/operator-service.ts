import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeName, TtrpcError } from '@kata-agent/ttrpc';
import { entryNames } from '../authorization/guest-entry.js';
import type { Operator, Verb } from '../authorization/operator.js';
import { type OfferedPipe, RemoteRefusedError } from '../bus/bus.js';
import type { AnyGuest, Guest } from '../guests/guest.js';
import { certificatesOf } from './certificates-of.js';
import { guestJson } from './guest-json.js';
import { badRequest, errorAnswer, errorBytes, HttpError, noSuchGuest } from './http-error.js';
import { OpenUses } from './open-uses.js';
import type { OperatorContext, OperatorSource, RemoteUse, StoredGuest } from './operator-context.js';
import { type OperatorRequest, parseOperatorRequest } from './operator-request.js';
import { readRevocation, type Revocation } from './revocation.js';
import { Slots } from './slots.js';
import { keepAlive, splice, type SplicedBytes } from './splice.js';
import { streamLog } from './stream-log.js';
import { TrustedRelay } from './trusted-relay.js';
import { OperatorLeft, waitForGuest } from './wait-for-guest.js';

/** The protocol that an operator asks for. What follows depends on the relay of the guest. */
const upgradeToken = 'kata-agent-ttrpc/1';

/** Time in which a refused client can take the answer, in ms. */
const refusalMs = 5_000;

/** What operators have open, and what was passed on since the start. */
export interface OperatorCounts {
  readonly operatorTls: number;
  readonly trusted: number;
  readonly readers: number;
  /** Bytes between operators and guests with relay = "operator-tls". */
  readonly bytes: Readonly<SplicedBytes>;
}

/**
 * Answers requests of authenticated operators (docs/adr/0051-the-realm.md): the listeners `request` and `upgrade` of an HTTPS
 * server with `operatorHttpsOptions`. Nothing is allowed that no verb of the operator allows.
 */
export class OperatorService {
  readonly #context: OperatorContext;
  readonly #trusted: TrustedRelay;
  readonly #uses = new OpenUses();
  readonly #connections: Slots;
  readonly #readers: Slots;
  readonly #bytes: SplicedBytes = { toGuest: 0, toOperator: 0 };
  readonly #open = { operatorTls: 0, trusted: 0, readers: 0 };

  constructor(context: OperatorContext) {
    const { decisions, limits, report, isOwn } = context;
    this.#context = context;
    this.#connections = new Slots(limits.connections);
    this.#readers = new Slots(limits.readers);
    this.#trusted = new TrustedRelay({ decisions, limits, isOwn, report });
  }

  get counts(): OperatorCounts {
    return { ...this.#open, bytes: { ...this.#bytes } };
  }

  /** Answers a request. Never rejects. */
  async request(request: IncomingMessage, response: ServerResponse, source: OperatorSource): Promise<void> {
    response.on('error', () => undefined);
    try {
      await this.#answer(request, response, source);
    } catch (error) {
      if (response.destroyed || request.errored !== null) return;
      const answer = this.#httpErrorOf(error);
      if (response.headersSent) breakOff(response);
      else {
        const { headers, body } = errorAnswer(answer);
        response.writeHead(answer.status, headers).end(body);
      }
    }
  }

  /** Answers a request with Upgrade. `head` has bytes that followed it. Never rejects. */
  async upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    source: OperatorSource,
  ): Promise<void> {
    socket.on('error', () => undefined);
    if (head.length > 0) socket.unshift(head);
    try {
      await this.#connect(request, socket, source);
    } catch (error) {
      if (error instanceof OperatorLeft) socket.destroy();
      else refuse(socket, this.#httpErrorOf(error));
    }
  }

  /** Serves an operator of another replica. Throws a RemoteRefusedError if this one does not allow it. */
  serveRemote({ guest, source, certificates }: RemoteUse, pipe: OfferedPipe): void {
    const operator = this.#remoteOperator(source, 'connect', guest);
    const release = this.#connections.take(operator.name);
    if (release === undefined)
      throw refusalOf(
        this.#tooMany(operator, 'connect', guest, `${this.#context.limits.connections} connections`),
      );
    let stream: Duplex | undefined;
    let isOver = false;
    const remove = this.#uses.add({
      source,
      operator: operator.name,
      verb: 'connect',
      guest,
      close: () => {
        isOver = true;
        if (stream === undefined) pipe.abort('the operator may no longer connect');
        else stream.destroy();
      },
    });
    const serve = async (): Promise<void> => {
      if (guest.relay === 'trusted') {
        this.#allowed(operator, 'connect', guest, 'connected by another replica, the relay is trusted');
        stream = pipe.open();
        this.#open.trusted += 1;
        try {
          await this.#trusted.serve(stream, { source, operator: operator.name, guest });
        } finally {
          this.#open.trusted -= 1;
        }
        return;
      }
      const opened = await this.#context.openConnectionFor(guest, certificates, pipe);
      this.#allowed(operator, 'connect', guest, 'connected by another replica');
      if (opened === undefined) return;
      opened.on('error', () => undefined);
      if (isOver) return void opened.destroy();
      stream = pipe.open();
      this.#open.operatorTls += 1;
      try {
        await splice(stream, opened, this.#bytes);
      } finally {
        this.#open.operatorTls -= 1;
      }
    };
    void serve()
      .catch((error: unknown) => {
        this.#context.report(`no connection to ${guest.name} could be opened`, error);
        pipe.abort('the guest did not open a connection');
      })
      .finally(() => {
        remove();
        release();
      });
  }

  /** Revokes for an operator of another replica. */
  async revokeRemote(
    { guest, source }: RemoteUse,
    revocation: Revocation,
  ): Promise<{ readonly closed: number }> {
    const operator = this.#remoteOperator(source, 'revoke', guest);
    try {
      this.#checkNotOwn(revocation);
      this.#allowed(operator, 'revoke', guest, JSON.stringify(revocation));
      return await this.#context.revoke(guest, revocation);
    } catch (error) {
      throw refusalOf(this.#httpErrorOf(error));
    }
  }

  #checkNotOwn(revocation: Revocation): void {
    if (this.#context.isOwn(revocation))
      throw badRequest('the revocation names the realm: guests would never connect to it again');
  }

  /** A guest's connection that has come here is passed on to an operator of another replica, while this one allows it. */
  joined(
    { guest, source }: Pick<RemoteUse, 'source'> & { readonly guest: StoredGuest },
    stream: Duplex,
  ): void {
    let operator: Operator;
    try {
      operator = this.#remoteOperator(source, 'connect', guest);
    } catch (error) {
      stream.destroy(error as Error);
      return;
    }
    const remove = this.#uses.add({
      source,
      operator: operator.name,
      verb: 'connect',
      guest,
      close: () => stream.destroy(),
    });
    this.#open.operatorTls += 1;
    stream.once('close', () => {
      this.#open.operatorTls -= 1;
      remove();
    });
  }

  #remoteOperator(source: OperatorSource, verb: Verb, guest: StoredGuest): Operator {
    const operator = source();
    try {
      if (operator === undefined)
        throw new HttpError(403, 'unknown_operator', 'no entry of the authorization names your certificate');
      this.#checked(operator, verb, guest.name, guest);
      return operator;
    } catch (error) {
      throw refusalOf(this.#httpErrorOf(error));
    }
  }

  /** Closes what operators may no longer do: for a changed authorization file. */
  recheck(): void {
    const reason = 'the authorization has changed';
    for (const { operator, verb, guest } of this.#uses.recheck())
      this.#context.decisions.record({ operator, verb, guest, allowed: false, reason });
  }

  /** Closes all connections to guests and all readers. */
  close(): void {
    this.#uses.close();
    this.#trusted.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse, source: OperatorSource): Promise<void> {
    const { operator, asked } = this.#read(request, source);
    if (asked.kind !== 'revoke') withoutBody(request);
    switch (asked.kind) {
      case 'guests': {
        const guests = this.#context.guests.list().filter((guest) => operator.may('list', guest));
        sendJson(response, { guests: guests.map((guest) => this.#json(guest, operator)) });
        return;
      }
      case 'guest':
        sendJson(response, this.#json(this.#liveGuest(operator, 'list', asked.guest), operator));
        return;
      case 'audit':
        await this.#sendLog(response, asked, operator, source);
        return;
      case 'revoke': {
        const guest = this.#liveGuest(operator, 'revoke', asked.guest);
        const revocation = await readRevocation(request, this.#context.limits.bodyBytes);
        this.#checkNotOwn(revocation);
        this.#allowed(operator, 'revoke', guest, JSON.stringify(revocation));
        const { revoke, remote } = this.#context;
        const revoked =
          guest.holder === undefined
            ? await revoke(guest, revocation)
            : await remote.revoke(guest, certificatesOf(request.socket), revocation);
        sendJson(response, { guest: guest.id, ...revoked });
        return;
      }
      case 'connect':
        throw new HttpError(426, 'upgrade_required', `connect with Upgrade: ${upgradeToken}`);
    }
  }

  async #connect(request: IncomingMessage, socket: Duplex, source: OperatorSource): Promise<void> {
    const { operator, asked } = this.#read(request, source);
    withoutBody(request);
    if (asked.kind !== 'connect' || request.headers.upgrade !== upgradeToken)
      throw badRequest(`only GET /guests/GUEST can be upgraded, to ${upgradeToken}`);
    const guest = this.#liveGuest(operator, 'connect', asked.guest);
    const release = this.#connections.take(operator.name);
    if (release === undefined)
      throw this.#tooMany(operator, 'connect', guest, `${this.#context.limits.connections} connections`);
    const remove = this.#uses.add({
      source,
      operator: operator.name,
      verb: 'connect',
      guest,
      close: () => socket.destroy(),
    });
    try {
      if (guest.holder === undefined && guest.relay === 'trusted')
        await this.#serveTrusted(socket, source, operator, guest);
      else await this.#serveSpliced(socket, operator, guest, certificatesOf(socket));
    } finally {
      remove();
      release();
    }
  }

  async #serveTrusted(
    socket: Duplex,
    source: OperatorSource,
    operator: Operator,
    guest: Guest,
  ): Promise<void> {
    this.#allowed(operator, 'connect', guest, 'connected, the relay is trusted');
    this.#open.trusted += 1;
    try {
      keepAlive(socket);
      socket.write(switching(guest), 'latin1');
      await this.#trusted.serve(socket, { source, operator: operator.name, guest });
    } finally {
      this.#open.trusted -= 1;
    }
  }

  async #serveSpliced(
    socket: Duplex,
    operator: Operator,
    guest: AnyGuest,
    certificates: readonly Buffer[],
  ): Promise<void> {
    const { openConnection, remote, limits, report } = this.#context;
    let opened;
    try {
      const opening =
        guest.holder === undefined
          ? openConnection(guest, certificates)
          : remote.connect(guest, certificates, limits.openMs);
      opened = await waitForGuest(socket, opening, limits.openMs);
    } catch (error) {
      if (error instanceof OperatorLeft || error instanceof RemoteRefusedError) throw error;
      report(`no connection to ${guest.name} could be opened`, error);
      throw new HttpError(503, 'guest_unavailable', `guest '${guest.name}' did not open a connection`, {
        cause: error,
      });
    }
    const where = guest.holder === undefined ? '' : `: by replica ${guest.holder.replica}`;
    this.#allowed(operator, 'connect', guest, `connected${where}`);
    this.#open.operatorTls += 1;
    try {
      opened.on('error', () => undefined);
      socket.write(switching(guest), 'latin1');
      await splice(socket, opened, this.#bytes);
    } finally {
      this.#open.operatorTls -= 1;
    }
  }

  async #sendLog(
    response: ServerResponse,
    { guest: name, from, follow }: Extract<OperatorRequest, { kind: 'audit' }>,
    operator: Operator,
    source: OperatorSource,
  ): Promise<void> {
    const { guests, logs, limits } = this.#context;
    const guest = this.#checked(operator, 'audit', name, guests.find(name) ?? logs.find(name));
    if (logs.stateOf(guest.id) === undefined)
      throw new HttpError(
        404,
        'no_log',
        `guest '${guest.name}' has no audit log here: its listener does not serve WatchAudit`,
      );
    const release = this.#readers.take(operator.name);
    if (release === undefined)
      throw this.#tooMany(operator, 'audit', guest, `${limits.readers} readers of audit logs`);
    const remove = this.#uses.add({
      source,
      operator: operator.name,
      verb: 'audit',
      guest,
      close: () => response.destroy(),
    });
    this.#open.readers += 1;
    this.#allowed(operator, 'audit', guest, follow ? 'follows the audit log' : 'reads the audit log');
    try {
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
      response.flushHeaders();
      await streamLog(response, (signal) => logs.readLog(guest.id, from, follow, signal), limits.stallMs);
    } finally {
      this.#open.readers -= 1;
      remove();
      release();
    }
  }

  #read(request: IncomingMessage, source: OperatorSource): { operator: Operator; asked: OperatorRequest } {
    const operator = source();
    if (operator === undefined)
      throw new HttpError(403, 'unknown_operator', 'no entry of the authorization names your certificate');
    return { operator, asked: parseOperatorRequest(request.method ?? '', request.url ?? '') };
  }

  #json(guest: AnyGuest, operator: Operator): object {
    return guestJson(guest, this.#context.logs.stateOf(guest.id), operator);
  }

  #liveGuest(operator: Operator, verb: Verb, name: string): AnyGuest {
    return this.#checked(operator, verb, name, this.#context.guests.find(name));
  }

  /** Returns the guest if the operator may do this with it. Throws an HttpError, after it has recorded the denial. */
  #checked<G extends StoredGuest>(operator: Operator, verb: Verb, name: string, guest: G | undefined): G {
    const deny = (reason: string): void =>
      this.#context.decisions.record({
        operator: operator.name,
        verb,
        ...(guest === undefined ? {} : { guest: { id: guest.id, name: guest.name } }),
        allowed: false,
        reason,
      });
    if (guest === undefined || !operator.may('list', guest)) {
      deny(guest === undefined ? `there is no guest '${name}'` : 'the operator lacks the verb list');
      throw noSuchGuest(name);
    }
    if (!operator.may(verb, guest)) {
      deny(`the operator lacks the verb ${verb}`);
      throw new HttpError(403, 'denied', `you lack the verb ${verb} for guest '${guest.name}'`);
    }
    // It is said to the others of the entry too.
    if (verb === 'revoke' && !operator.may('revoke', { name: entryNames(guest) })) {
      deny('the operator lacks the verb revoke for other guests of the entry');
      throw new HttpError(
        403,
        'denied',
        `a revocation counts for all guests of the entry of '${guest.name}', and you lack the verb revoke for others of them`,
      );
    }
    return guest;
  }

  #allowed({ name }: Operator, verb: Verb, guest: StoredGuest, reason: string): void {
    this.#context.decisions.record({
      operator: name,
      verb,
      guest: { id: guest.id, name: guest.name },
      allowed: true,
      reason,
    });
  }

  #tooMany({ name }: Operator, verb: Verb, guest: StoredGuest, what: string): HttpError {
    const reason = `the operator has ${what}, which is the limit`;
    this.#context.decisions.record({
      operator: name,
      verb,
      guest: { id: guest.id, name: guest.name },
      allowed: false,
      reason,
    });
    return new HttpError(429, 'too_many', `you have ${what}, which is the limit: close some`);
  }

  #httpErrorOf(error: unknown): HttpError {
    if (error instanceof HttpError) return error;
    if (error instanceof RemoteRefusedError) {
      const { status, code, message } = error.refusal;
      return new HttpError(status, code, message);
    }
    if (error instanceof TtrpcError)
      return new HttpError(
        502,
        'guest_error',
        `the guest answered ${codeName(error.code)}: ${error.message}`,
      );
    this.#context.report('a request of an operator failed', error);
    return new HttpError(500, 'internal', 'the realm failed; its log has the reason');
  }
}

/** Who answers requests of authenticated operators. */
export type OperatorHandler = Pick<OperatorService, keyof OperatorService>;

/** A refusal as another replica answers it. */
function refusalOf({ status, code, message }: HttpError): RemoteRefusedError {
  return new RemoteRefusedError({ status, code, message });
}

function withoutBody({ headers }: IncomingMessage): void {
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0')
    throw badRequest('no body is taken here');
}

function sendJson(response: ServerResponse, value: object): void {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

function switching({ relay, id }: AnyGuest): string {
  const headers = [
    'Connection: Upgrade',
    `Upgrade: ${upgradeToken}`,
    `Kata-Agent-Relay: ${relay}`,
    `Kata-Agent-Guest: ${id}`,
  ];
  return `HTTP/1.1 101 Switching Protocols\r\n${headers.join('\r\n')}\r\n\r\n`;
}

/** Ends an answer after what was written, without its end: it must not look complete. */
function breakOff(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), refusalMs);
  response.once('close', () => clearTimeout(timer));
  response.socket?.destroySoon();
}

/** Answers with an error. What the client has sent is read until it ends, since a reset could overtake the answer. */
function refuse(socket: Duplex, error: HttpError): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), refusalMs);
  socket.once('close', () => clearTimeout(timer));
  // Without an error: a stream that is both written and read to its end destroys itself.
  socket.end(errorBytes(error));
  socket.resume();
}
