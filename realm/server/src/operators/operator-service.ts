import type { OperatorVerb } from '@kata-agent/catalogue';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { Operator } from '../authorization/operator-rights.js';
import { RemoteRefusedError } from '../bus/bus.js';
import type { AnyGuest, Guest } from '../guest.js';
import { guestJson, OperatorLeft, streamLog, waitForGuest } from './guest-answers.js';
import {
  badRequest,
  HttpError,
  refuseUpgrade,
  sendError,
  sendJson,
  switchingTo,
  upgradeToken,
  withoutBody,
} from '../http/http-answers.js';
import { type BegunUse, type NamedGuest, OpenUses } from './open-uses.js';
import { httpErrorOf, OperatorChecks } from './operator-checks.js';
import type { OperatorContext, OperatorSource } from './operator-context.js';
import { type OperatorRequest, parseOperatorRequest } from './operator-request.js';
import { RemoteOperators } from './remote-operators.js';
import { readRevocation } from '../http/revocation.js';
import { keepAlive, splice, type SplicedBytes } from './splice.js';
import { TrustedRelay } from './trusted-relay.js';

/** Certificates of an operator that another replica gets. */
const maxCertificates = 8;

/** What operators have open, and what was passed on since the start. */
export interface OperatorCounts {
  readonly operatorTls: number;
  readonly trusted: number;
  readonly readers: number;
  /** Bytes between operators and guests with relay = "operator-tls". */
  readonly bytes: Readonly<SplicedBytes>;
}

/**
 * Answers requests of authenticated operators (docs/adr/realm.md): the listeners `request` and `upgrade` of an HTTPS
 * server with `operatorHttpsOptions`. Nothing is allowed that no verb of the operator allows.
 */
export class OperatorService {
  /** Serves operators of other replicas. */
  readonly remote: RemoteOperators;
  readonly #context: OperatorContext;
  readonly #checks: OperatorChecks;
  readonly #trusted: TrustedRelay;
  readonly #uses: OpenUses;
  readonly #bytes: SplicedBytes = { toGuest: 0, toOperator: 0 };

  constructor(context: OperatorContext) {
    const { decisions, limits, report, isOwn } = context;
    this.#context = context;
    this.#checks = new OperatorChecks(context);
    this.#uses = new OpenUses(this.#checks, limits);
    this.#trusted = new TrustedRelay({ decisions, limits, isOwn, report });
    this.remote = new RemoteOperators({
      context,
      checks: this.#checks,
      uses: this.#uses,
      trusted: this.#trusted,
      bytes: this.#bytes,
    });
  }

  get counts(): OperatorCounts {
    return {
      operatorTls: this.#uses.count('operator-tls'),
      trusted: this.#uses.count('trusted'),
      readers: this.#uses.count('audit'),
      bytes: { ...this.#bytes },
    };
  }

  /** Answers a request. Never rejects. */
  async request(request: IncomingMessage, response: ServerResponse, source: OperatorSource): Promise<void> {
    response.on('error', () => undefined);
    try {
      await this.#answer(request, response, source);
    } catch (error) {
      if (response.destroyed || request.errored !== null) return;
      sendError(response, httpErrorOf(error, this.#context.report));
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
      else refuseUpgrade(socket, httpErrorOf(error, this.#context.report));
    }
  }

  /** Closes what operators may no longer do: for a changed authorization file. */
  recheck(): void {
    this.#uses.recheck();
  }

  /** Closes what operators have opened in a guest under another name. */
  named(guest: NamedGuest): void {
    this.#uses.named(guest);
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
        this.#checks.revocation(revocation);
        this.#checks.allowed(operator, 'revoke', guest, JSON.stringify(revocation));
        const { revoke, remote } = this.#context;
        const revoked =
          guest.holder === undefined
            ? await revoke(guest, revocation, operator)
            : await remote.revoke(guest, certificatesOf(request.socket), revocation);
        sendJson(response, { guest: guest.id, ...revoked });
        return;
      }
      case 'connect':
        throw new HttpError(426, 'upgrade_required', `connect with Upgrade: ${upgradeToken}`);
      default:
        // Without this a kind that is added compiles, and its requests are never answered.
        asked satisfies never;
    }
  }

  async #connect(request: IncomingMessage, socket: Duplex, source: OperatorSource): Promise<void> {
    const { operator, asked } = this.#read(request, source);
    withoutBody(request);
    if (asked.kind !== 'connect' || request.headers.upgrade !== upgradeToken)
      throw badRequest(`only GET /guests/GUEST can be upgraded, to ${upgradeToken}`);
    const guest = this.#liveGuest(operator, 'connect', asked.guest);
    if (guest.relay === 'trusted') this.#checks.nameFor(guest, operator);
    const use = this.#uses.begin({
      kind: guest.relay,
      source,
      operator,
      guest,
      close: () => socket.destroy(),
    });
    try {
      if (guest.holder === undefined && guest.relay === 'trusted')
        await this.#serveTrusted(socket, source, operator, guest, use);
      else await this.#serveSpliced(socket, operator, guest, use);
    } finally {
      use.end();
    }
  }

  async #serveTrusted(
    socket: Duplex,
    source: OperatorSource,
    operator: Operator,
    guest: Guest,
    use: BegunUse,
  ): Promise<void> {
    this.#checks.allowed(operator, 'connect', guest, 'connected, the relay is trusted');
    use.opened();
    keepAlive(socket);
    socket.write(switchingTo(guest), 'latin1');
    await this.#trusted.serve(socket, { source, operator: operator.name, guest });
  }

  async #serveSpliced(socket: Duplex, operator: Operator, guest: AnyGuest, use: BegunUse): Promise<void> {
    const { openConnection, remote, limits, report } = this.#context;
    const certificates = certificatesOf(socket);
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
    this.#checks.allowed(operator, 'connect', guest, `connected${where}`);
    use.opened();
    opened.on('error', () => undefined);
    socket.write(switchingTo(guest), 'latin1');
    await splice(socket, opened, this.#bytes);
  }

  async #sendLog(
    response: ServerResponse,
    { guest: name, from, follow }: Extract<OperatorRequest, { kind: 'audit' }>,
    operator: Operator,
    source: OperatorSource,
  ): Promise<void> {
    const { guests, logs, limits } = this.#context;
    const found = guests.find(name) ?? (await logs.find(name));
    const guest = this.#checks.guest(operator, 'audit', name, found);
    if (logs.stateOf(guest.id) === undefined)
      throw new HttpError(
        404,
        'no_log',
        `guest '${guest.name}' has no audit log here: its listener does not serve WatchAudit`,
      );
    const close = (): void => void response.destroy();
    const use = this.#uses.begin({ kind: 'audit', source, operator, guest, close });
    use.opened();
    this.#checks.allowed(operator, 'audit', guest, follow ? 'follows the audit log' : 'reads the audit log');
    try {
      response.writeHead(200, {
        'Content-Type': 'application/x-ndjson',
        'Cache-Control': 'no-store',
        // The name can be another guest's in a later request.
        'Kata-Agent-Guest': guest.id,
      });
      response.flushHeaders();
      await streamLog(response, (signal) => logs.readLog(guest.id, from, follow, signal), limits.stallMs);
    } finally {
      use.end();
    }
  }

  #read(request: IncomingMessage, source: OperatorSource): { operator: Operator; asked: OperatorRequest } {
    const operator = this.#checks.operator(source);
    return { operator, asked: parseOperatorRequest(request.method ?? '', request.url ?? '') };
  }

  #json(guest: AnyGuest, operator: Operator): object {
    return guestJson(guest, this.#context.logs.stateOf(guest.id), operator);
  }

  #liveGuest(operator: Operator, verb: OperatorVerb, name: string): AnyGuest {
    return this.#checks.guest(operator, verb, name, this.#context.guests.find(name));
  }
}

/** Handles requests of authenticated operators. */
export type OperatorHandler = Pick<OperatorService, Exclude<keyof OperatorService, 'remote'>> & {
  readonly remote: Pick<RemoteOperators, keyof RemoteOperators>;
};

/** Returns the certificate of the other end of a connection, and those that it sent with it, as DER. */
function certificatesOf(stream: Duplex): readonly Buffer[] {
  const socket = stream as Partial<TLSSocket>;
  const certificates: Buffer[] = [];
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate?.(true);
  while (next?.raw !== undefined && certificates.length < maxCertificates) {
    certificates.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return certificates;
}
