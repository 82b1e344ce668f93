import type { Duplex } from 'node:stream';
import { type DescService, fromBinary } from '@bufbuild/protobuf';
import { Slots } from '@kata-agent/connection-limits';
import { isManagementMethod, type OperatorVerb, verbsThatOpen } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { Management, RevokePeerRequestSchema } from '@kata-agent/protocol/management';
import {
  type CallInfo,
  Code,
  createServer,
  type Fault,
  forwardedService,
  type Metadata,
  type Refusal,
  type Server,
  type ServerInterceptor,
  TtrpcError,
} from '@kata-agent/ttrpc';
import type { Operator } from '../authorization/operator-rights.js';
import type { Guest } from '../guest.js';
import type {
  OperatorContext,
  OperatorDecisions,
  OperatorLimits,
  OperatorSource,
} from './operator-context.js';

/** The name of the operator, as the realm says it. Rules of the guest see it as `peer.claimed_operator`. */
const operatorKey = 'kata-agent-operator';

/** Kata's runtime sends the context of a trace with each call: https://www.w3.org/TR/trace-context/ and baggage. */
const passedOn = ['traceparent', 'tracestate', 'baggage'] as const;

/** The longest value that is passed on: what the specification of `baggage` requires. */
const longestValue = 8_192;

/** An operator's connection to a guest whose relay is trusted. */
export interface TrustedConnection {
  readonly source: OperatorSource;
  /** The operator's name when it connected. */
  readonly operator: string;
  readonly guest: Guest;
}

interface Served extends TrustedConnection {
  readonly stream: Duplex;
}

interface TrustedRelayOptions {
  readonly decisions: OperatorDecisions;
  readonly limits: Pick<OperatorLimits, 'calls' | 'callsToGuest' | 'callBytes' | 'unreadBytes'>;
  readonly isOwn: OperatorContext['isOwn'];
  readonly report: (message: string, error: unknown) => void;
}

const services: readonly DescService[] = [AgentService, Health, Management];

/** Replies of this size may be unread in each connection of an operator, beside its limit. */
const fewBytes = 1024 * 1024;

/** Time in which an operator can take the last answers after its guest is gone. */
const lastAnswersMs = 5_000;

/** Makes the calls of operators in guests. */
export class TrustedRelay {
  readonly #server: Server<Served>;
  readonly #decisions: OperatorDecisions;
  readonly #inFlight: Slots;
  readonly #inFlightOfAll: Slots;
  readonly #bytesInFlight: Slots;
  readonly #unreadBytes: number;
  readonly #isOwn: OperatorContext['isOwn'];
  readonly #open = new Set<Served>();

  constructor({
    decisions,
    limits: { calls, callsToGuest, callBytes, unreadBytes },
    isOwn,
    report,
  }: TrustedRelayOptions) {
    this.#decisions = decisions;
    this.#inFlight = new Slots(calls);
    this.#inFlightOfAll = new Slots(callsToGuest);
    this.#bytesInFlight = new Slots(callBytes);
    this.#unreadBytes = unreadBytes;
    this.#isOwn = isOwn;
    this.#server = createServer<Served>({
      services: services.map((descriptor) =>
        forwardedService<Served>(descriptor, ({ metadata, connection }) => ({
          channel: connection.guest.channel,
          metadata: relayedMetadata(metadata, connection.operator),
        })),
      ),
      admit: (call) => this.#admit(call),
      interceptors: [this.#limit, unavailableIfClosed],
      limits: { requestsPerConnection: calls },
      groupOf: ({ operator }) => operator,
      onFault: (fault) => {
        if (fault.kind === 'handler' || fault.kind === 'admit') report(faultText(fault), fault.error);
      },
    });
  }

  /** Serves an operator until its connection or the guest's ends. */
  async serve(stream: Duplex, connection: TrustedConnection): Promise<void> {
    const own: Served = { ...connection, stream };
    this.#open.add(own);
    const served = this.#server.serve(stream, own);
    let timer: NodeJS.Timeout | undefined;
    void connection.guest.channel.closed.then(() => {
      if (stream.destroyed) return;
      // Calls in flight are answered first.
      setImmediate(() => stream.end());
      timer = setTimeout(() => served.close(), lastAnswersMs);
    });
    await served.closed;
    this.#open.delete(own);
    clearTimeout(timer);
    stream.destroy();
  }

  close(): void {
    this.#server.close();
  }

  #admit({ service, method, connection, payload }: CallInfo<TrustedConnection>): Refusal | undefined {
    const { guest } = connection;
    const descriptor = services.find(({ typeName }) => typeName === service);
    if (descriptor === undefined) return undefined; // the server answers UNIMPLEMENTED
    const operator = connection.source();
    if (operator === undefined || !operator.may('list', guest) || !operator.may('connect', guest))
      return this.#deny(connection, 'connect', method, 'the operator may no longer connect to this guest');
    if (descriptor === Health) return undefined;
    // One slow reader of a stream would stop the guest's connection for all operators.
    const kind = descriptor.methods.find(({ name }) => name === method)?.methodKind ?? 'unary';
    const help =
      method === Management.method.watchAudit.name
        ? ': read the log that it keeps, kata-agent-ctl realm audit'
        : '';
    if (kind !== 'unary')
      return {
        error: new TtrpcError(Code.Unimplemented, `${method} is not served by the realm${help}`),
      };
    const denial = denialOf(operator, descriptor, method, guest);
    if (denial !== undefined)
      return this.#deny(connection, denial.verb, method, `the operator ${denial.why} for this guest`);
    if (method === Management.method.revokePeer.name && this.#wouldRevokeRealm(payload))
      return {
        error: new TtrpcError(Code.InvalidArgument, `${method} names the realm, which would lose the guest`),
      };
    return undefined;
  }

  #wouldRevokeRealm(payload: Uint8Array): boolean {
    try {
      return this.#isOwn(fromBinary(RevokePeerRequestSchema, payload));
    } catch {
      return false; // not a request: the guest says so
    }
  }

  #deny({ operator, guest }: TrustedConnection, verb: OperatorVerb, method: string, reason: string): Refusal {
    this.#decisions.record({ operator, verb, guest, method, allowed: false, reason });
    return { error: new TtrpcError(Code.PermissionDenied, `${method} is denied by the realm: ${reason}`) };
  }

  /** A call counts until the guest has answered, also when its operator is gone. */
  readonly #limit: ServerInterceptor<Served> = async (request, { connection, method, payload }, next) => {
    const key = `${connection.guest.id} ${connection.operator}`;
    const call = this.#inFlight.take(key);
    const bytes = call === undefined ? undefined : this.#bytesInFlight.take(key, payload.length);
    const ofAll = bytes === undefined ? undefined : this.#inFlightOfAll.take(connection.guest.id);
    try {
      if (bytes !== undefined && ofAll === undefined)
        throw new TtrpcError(
          Code.ResourceExhausted,
          `${method}: too many calls of all operators wait for the guest (limit of the realm)`,
        );
      if (bytes === undefined)
        throw new TtrpcError(
          Code.ResourceExhausted,
          `${method}: too many calls of this operator wait for the guest, or too large ones (limit of the realm)`,
        );
      const reply = await next(request);
      this.#checkUnread(connection);
      return reply;
    } finally {
      ofAll?.();
      bytes?.();
      call?.();
    }
  };

  /** Closes the connection of an operator that lets replies lie in the memory of the realm. */
  #checkUnread({ operator, stream }: Served): void {
    if (stream.writableLength <= fewBytes) return;
    const unread = [...this.#open].reduce(
      (sum, other) => sum + (other.operator === operator ? other.stream.writableLength : 0),
      0,
    );
    if (unread > this.#unreadBytes) stream.destroy();
  }
}

/**
 * Returns why an operator may not make a call, and the verb that it needs; undefined if it may. A guest whose relay is operator-tls
 * decides by the same table. A method that connect does not open needs no entry in `methods`, which are those of connect.
 */
function denialOf(
  operator: Operator,
  service: DescService,
  method: string,
  guest: Guest,
): { readonly verb: OperatorVerb; readonly why: string } | undefined {
  const opening: readonly OperatorVerb[] =
    service === Management && isManagementMethod(method) ? verbsThatOpen(method) : ['connect'];
  const [first = 'connect'] = opening;
  if (opening.includes('connect'))
    return operator.mayCall(method, guest) ? undefined : { verb: 'connect', why: 'has no entry in methods' };
  return opening.some((verb) => operator.may(verb, guest))
    ? undefined
    : { verb: first, why: `lacks the verb ${first}` };
}

/** A channel that the realm has closed ends calls with CANCELED: to operators, the guest is gone. */
const unavailableIfClosed: ServerInterceptor<Served> = async (request, { connection }, next) => {
  try {
    return await next(request);
  } catch (error) {
    if (!(error instanceof TtrpcError) || error.code !== Code.Canceled) throw error;
    const closed = await Promise.race([connection.guest.channel.closed.then(() => true), nextTurn()]);
    if (!closed) throw error;
    throw new TtrpcError(Code.Unavailable, "the guest's connection was closed", { cause: error });
  }
};

function nextTurn(): Promise<false> {
  return new Promise((resolve) => setImmediate(() => resolve(false)));
}

function faultText({ message, method, connection }: Fault<TrustedConnection>): string {
  return `${method ?? 'a call'} of ${connection.operator} in ${connection.guest.name}: ${message}`;
}

/** Returns the metadata of a call that the realm makes for an operator. Of the operator's own, only listed keys remain. */
export function relayedMetadata(metadata: Metadata, operator: string): Readonly<Record<string, string>> {
  const relayed: Record<string, string> = {};
  for (const key of passedOn) {
    const [value] = metadata.get(key) ?? [];
    if (value !== undefined && value.length <= longestValue) relayed[key] = value;
  }
  return { ...relayed, [operatorKey]: operator };
}
