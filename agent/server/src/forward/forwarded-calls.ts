import { fromBinary, isMessage, type Message } from '@bufbuild/protobuf';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import {
  AgentService,
  ReadStreamResponseSchema,
  type RemoveContainerRequest,
  SetPolicyRequestSchema,
  type WaitProcessRequest,
} from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import {
  Code,
  type ContextKey,
  contextKey,
  type ForwardedCall,
  type HandlerContext,
  inspectedService,
  type Metadata,
  type Opaque,
  type ServerInterceptor,
  type ServiceRegistration,
  TtrpcError,
} from '@kata-agent/ttrpc';
import type { Authorize } from '../interceptors/evaluate-rules.js';
import { beginOf, movedBytesKey } from '../interceptors/call-values.js';
import { statusOf } from '../interceptors/refusal.js';
import type { Caller } from '../caller.js';
import { acceptPolicy, type SavedPolicies } from '../policy/set-policy.js';
import type { Policy } from '../policy/policy.js';
import { streamOf } from '../readers.js';
import type { Claims, FormContext } from './forms/forwarded-sandbox.js';
import { NotAlike } from './forms/values.js';
import { readRequest } from './forms/request-forms.js';
import type { InnerLinks } from './inner-agent.js';

/**
 * The metadata that Kata's Go runtime sends and its agent reads: the trace context of OpenTelemetry (Kata 4.1,
 * `TraceUnaryClientInterceptor` in the runtime, `extract_carrier_from_ttrpc` in the agent). Other metadata was seen by no rule.
 */
const passed = ['traceparent', 'tracestate', 'baggage'] as const;
const longestValue = 8192;

/** Printable ASCII: these are HTTP headers by their specification. */
const printable = /^[\x20-\x7e]*$/;

type Context = HandlerContext<Caller>;

/** The context of forwarded calls. */
export interface Forwarding {
  readonly links: InnerLinks<Caller>;
  readonly budget: ByteBudget;
  readonly policy: Policy;
  readonly savedPolicies: Pick<SavedPolicies, 'full' | 'keep'>;
  /** What requests are read with, and what has been forwarded. */
  readonly forms: FormContext;
  /** Ends the agent once running calls are answered. */
  readonly end: () => void;
}

/**
 * Registers the services of Kata's API, whose calls the inner agent answers. SetPolicy is answered here: it narrows what this agent
 * serves. The inner agent's own policy is that of its image or of initdata.
 */
export function forwardedServices(
  forwarding: Forwarding,
  authorize: Authorize,
): readonly ServiceRegistration<Caller>[] {
  const { links, policy, savedPolicies } = forwarding;
  const setPolicy = async (request: unknown, context: Context): Promise<object> => {
    await beginOf(context)();
    const text = isMessage(request as Message, SetPolicyRequestSchema)
      ? (request as { policy: string }).policy
      : '';
    await acceptPolicy(text, policy, savedPolicies, () => undefined);
    return {};
  };
  return [
    inspectedService<Caller>(
      AgentService,
      (call, request) => route(forwarding, authorize, call, request),
      new Map([['SetPolicy', setPolicy]]),
    ),
    inspectedService<Caller>(Health, (call) => healthRoute(links, call)),
  ];
}

/** What a call has added to the sandbox. */
const claimsKey: ContextKey<Claims> = contextKey<Claims>('claims');

/** Decides where a call goes, when it may begin, and what is sent: a request that is built from what was read of the caller's. */
async function route(
  { links, forms }: Forwarding,
  authorize: Authorize,
  call: Context,
  request: Message | undefined,
): Promise<ForwardedCall> {
  const { method, connection, metadata, signal, values } = call;
  const descriptor = AgentService.methods.find(({ name }) => name === method);
  if (request === undefined || descriptor === undefined || !isMethodName(method))
    throw new TtrpcError(Code.Unimplemented, `${method} is not forwarded`);
  const read = (): ReturnType<typeof readRequest> =>
    orRefuse(method, () => readRequest(descriptor, request, forms));
  read();
  // Before the intent is recorded: a call that cannot be forwarded has changed nothing.
  const link = await links.of(connection);
  if (endpoints[method].changes) {
    await beginOf(call)();
    // A policy may have come meanwhile.
    const decision = authorize(request, call);
    if (decision.outcome === 'deny') throw statusOf(decision);
    if (signal.aborted) throw tooLate(method, signal.reason);
  }
  if (!link.isOpen)
    throw new TtrpcError(
      Code.Unavailable,
      `${method} was not forwarded: the inner agent has closed the connection`,
    );
  // Again, since other calls may have been forwarded meanwhile; nothing waits between this and the call.
  const { message, claims } = read();
  forms.sandbox.add(claims);
  values.set(claimsKey, claims);
  return { channel: link, metadata: forwardedMetadata(metadata), request: message };
}

/** The codes of requests that are not forwarded. */
const refusals: Readonly<Record<NotAlike['kind'], Code>> = {
  malformed: Code.InvalidArgument,
  refused: Code.PermissionDenied,
  unserved: Code.Unimplemented,
};

function orRefuse<T>(method: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof NotAlike)) throw error;
    throw new TtrpcError(refusals[error.kind], `${method} is not forwarded: ${error.message}`, {
      cause: error,
    });
  }
}

function tooLate(method: string, reason: unknown): TtrpcError {
  const code = reason instanceof TtrpcError ? reason.code : Code.Canceled;
  return new TtrpcError(code, `${method} was not forwarded: its caller does not wait any more`);
}

/** Health is answered only if the inner agent answers it. */
async function healthRoute(links: InnerLinks<Caller>, call: Context): Promise<ForwardedCall> {
  return { channel: await links.of(call.connection), metadata: forwardedMetadata(call.metadata) };
}

/**
 * Runs around each forwarded call: its bytes count as long as it waits, and until the inner agent has read them. The end of the
 * sandbox is the end of this agent.
 */
export function aroundForwarded(
  { budget, end, links, forms }: Pick<Forwarding, 'budget' | 'end' | 'links' | 'forms'>,
  changing: Changing,
): ServerInterceptor<Caller> {
  return async (request, context, next) => {
    const { method, service, payload, values, connection } = context;
    const name = service === AgentService.typeName && isMethodName(method) ? method : undefined;
    if (name === undefined && service !== Health.typeName) return next(request);
    const giveBack = budget.take(payload.length);
    const ended = name !== undefined && endpoints[name].changes ? changing.begin() : undefined;
    let isAnswered = false;
    try {
      const reply = await next(request);
      isAnswered = true;
      if (name !== undefined && streamOf(name) !== undefined) values.set(movedBytesKey, bytesOf(reply));
      noteAnswer(name, request, forms);
      if (name === 'DestroySandbox') end();
      return reply;
    } catch (error) {
      noteFailure(error, values.get(claimsKey), forms);
      throw error;
    } finally {
      // The deadline of a call can end it before the inner agent has read it.
      if (isAnswered) giveBack();
      else links.whenRead(connection, giveBack);
      ended?.();
    }
  };
}

/** Notes what the inner agent has done. */
function noteAnswer(method: string | undefined, request: Message, { sandbox }: FormContext): void {
  if (method === 'CreateSandbox') sandbox.sandboxCreated();
  else if (method === 'RemoveContainer')
    sandbox.containerRemoved((request as RemoveContainerRequest).containerId);
  else if (method === 'WaitProcess') {
    const { containerId, execId } = request as WaitProcessRequest;
    sandbox.execEnded(containerId, execId);
  }
}

/** Nobody knows what became of a call that ended so. */
const unknownOutcome: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Canceled, Code.DeadlineExceeded]);

/** Notes that the inner agent did not do what a call has added: its container or exec is not there. */
function noteFailure(error: unknown, claims: Claims | undefined, { sandbox }: FormContext): void {
  if (claims === undefined || !(error instanceof TtrpcError) || unknownOutcome.has(error.code)) return;
  const { container, exec } = claims;
  if (container !== undefined) sandbox.containerFailed(container);
  if (exec !== undefined) sandbox.execEnded(exec.container, exec.id);
}

/** Returns the number of a workload's bytes in the reply of a read; 0 for a reply that is malformed, which its caller sees. */
function bytesOf(reply: Message): number {
  try {
    return fromBinary(ReadStreamResponseSchema, (reply as Opaque).value).data.length;
  } catch {
    return 0;
  }
}

/** The changes that are in flight. */
export class Changing {
  #count = 0;
  #waiting: (() => void)[] = [];

  /** Counts a change until the function that it returns is called. */
  begin(): () => void {
    this.#count += 1;
    return () => {
      this.#count -= 1;
      if (this.#count > 0) return;
      for (const resolve of this.#waiting) resolve();
      this.#waiting = [];
    };
  }

  /** Resolves when there is none. */
  async none(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** The bytes of requests that wait for the inner agent, in all connections together. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Takes bytes of the budget; the function that it returns gives them back.
   *
   * @throws RESOURCE_EXHAUSTED if there are not as many left.
   */
  take(bytes: number): () => void {
    if (this.#used + bytes > this.#max)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `requests of ${this.#used} bytes wait for the inner agent: at most ${this.#max} may`,
      );
    this.#used += bytes;
    return () => {
      this.#used -= bytes;
    };
  }
}

/** Returns the metadata that is passed on. */
export function forwardedMetadata(metadata: Metadata): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  if (metadata.size === 0) return found;
  for (const name of passed) {
    const values = metadata.get(name);
    const [value] = values ?? [];
    if (value === undefined || values?.length !== 1) continue;
    if (value.length <= longestValue && printable.test(value)) found[name] = value;
  }
  return found;
}
