import { fromBinary, isMessage, type Message } from '@bufbuild/protobuf';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import {
  AgentService,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
  ReadStreamResponseSchema,
  SetPolicyRequestSchema,
} from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import {
  Code,
  type ForwardedCall,
  type HandlerContext,
  inspectedService,
  type Opaque,
  type ServerInterceptor,
  type ServiceRegistration,
  TtrpcError,
} from '@kata-agent/ttrpc';
import type { Authorize } from '../interceptors/authorize.js';
import { beginOf } from '../interceptors/begin-of.js';
import { movedBytesKey } from '../interceptors/moved-bytes.js';
import { statusOf } from '../interceptors/refusal.js';
import type { Caller } from '../listeners/caller.js';
import { acceptPolicy } from '../policy/accept-policy.js';
import type { KeptPolicies } from '../policy/kept-policies.js';
import type { Policy } from '../policy/policy.js';
import { streamOf } from '../readers.js';
import { ambiguousName } from './ambiguous-names.js';
import type { ByteBudget } from './byte-budget.js';
import { forwardedMetadata } from './forwarded-metadata.js';
import type { InnerLinks } from './inner-links.js';

type Context = HandlerContext<Caller>;

/** The context of forwarded calls. */
export interface Forwarding {
  readonly links: InnerLinks<Caller>;
  readonly budget: ByteBudget;
  readonly policy: Policy;
  readonly keptPolicies: Pick<KeptPolicies, 'full' | 'keep'>;
  /** Ends the agent once running calls are answered. */
  readonly end: () => void;
}

/**
 * Registers the services of Kata's API, whose calls the inner agent answers. SetPolicy is answered here: it narrows what this agent
 * serves. The inner agent's own policy is that of its image or of initdata.
 */
export function forwardedServices(
  { links, policy, keptPolicies }: Forwarding,
  authorize: Authorize,
): readonly ServiceRegistration<Caller>[] {
  const setPolicy = async (request: unknown, context: Context): Promise<object> => {
    await beginOf(context)();
    const text = isMessage(request as Message, SetPolicyRequestSchema)
      ? (request as { policy: string }).policy
      : '';
    await acceptPolicy(text, policy, keptPolicies, () => undefined);
    return {};
  };
  return [
    inspectedService<Caller>(
      AgentService,
      (call, request) => route(links, authorize, call, request),
      new Map([['SetPolicy', setPolicy]]),
    ),
    inspectedService<Caller>(Health, (call) => healthRoute(links, call)),
  ];
}

/** Decides where a call goes, when it may begin. */
async function route(
  links: InnerLinks<Caller>,
  authorize: Authorize,
  call: Context,
  request: Message | undefined,
): Promise<ForwardedCall> {
  const { method, connection, metadata, signal } = call;
  const fault = request === undefined ? undefined : (ambiguousName(request) ?? stdioFault(request));
  if (fault !== undefined) throw new TtrpcError(Code.InvalidArgument, `${method}: ${fault}`);
  // Before the intent is recorded: a call that cannot be forwarded has changed nothing.
  const link = await links.of(connection);
  if (isMethodName(method) && endpoints[method].changes) {
    await beginOf(call)();
    // A policy may have come meanwhile.
    const decision = request === undefined ? undefined : authorize(request, call);
    if (decision?.outcome === 'deny') throw statusOf(decision);
    if (signal.aborted) throw tooLate(method, signal.reason);
  }
  if (!link.isOpen)
    throw new TtrpcError(
      Code.Unavailable,
      `${method} was not forwarded: the inner agent has closed the connection`,
    );
  return { channel: link, metadata: forwardedMetadata(metadata) };
}

function tooLate(method: string, reason: unknown): TtrpcError {
  const code = reason instanceof TtrpcError ? reason.code : Code.Canceled;
  return new TtrpcError(code, `${method} was not forwarded: its caller does not wait any more`);
}

/** Health is answered only if the inner agent answers it. */
async function healthRoute(links: InnerLinks<Caller>, call: Context): Promise<ForwardedCall> {
  return { channel: await links.of(call.connection), metadata: forwardedMetadata(call.metadata) };
}

/** A port leads past all rules about reads and writes (S22), to a process of the inner agent. */
function stdioFault(request: Message): string | undefined {
  if (!isMessage(request, CreateContainerRequestSchema) && !isMessage(request, ExecProcessRequestSchema))
    return undefined;
  const { stdinPort, stdoutPort, stderrPort } = request;
  if (stdinPort === 0 && stdoutPort === 0 && stderrPort === 0) return undefined;
  return 'stdin_port, stdout_port and stderr_port must be 0: with forward, stdio is available by calls alone';
}

/**
 * Runs around each forwarded call: its bytes count as long as it waits, and until the inner agent has read them. The end of the
 * sandbox is the end of this agent.
 */
export function aroundForwarded(
  { budget, end, links }: Pick<Forwarding, 'budget' | 'end' | 'links'>,
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
      if (name === 'DestroySandbox') end();
      return reply;
    } finally {
      // The deadline of a call can end it before the inner agent has read it.
      if (isAnswered) giveBack();
      else links.whenRead(connection, giveBack);
      ended?.();
    }
  };
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
