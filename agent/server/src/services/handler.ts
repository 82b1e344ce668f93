import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Decision } from '@kata-agent/gate';
import { type Guest, GuestError, type MemoryAgent } from '@kata-agent/guest';
import type { AgentService } from '@kata-agent/protocol/agent';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { StdioPorts } from '../side-channels/stdio-ports.js';
import type { ModuleLock } from '../init/modules.js';
import type { Caller } from '../caller.js';
import { statusOf } from '../interceptors/refusal.js';
import type { SavedPolicies } from '../policy/set-policy.js';
import type { Policy } from '../policy/policy.js';

type Methods = typeof AgentService.method;

/** The methods of AgentService, named as in the generated code: `createContainer`, … */
export type LocalName = keyof Methods;

/** The context of handlers. A handler never checks permissions: gate and rules have done so. */
export interface Services {
  readonly guest: Guest;
  readonly policy: Policy;
  /** The first listener, whose caller is Kata's runtime. */
  readonly runtimeListener: string | undefined;
  readonly savedPolicies: Pick<SavedPolicies, 'full' | 'keep'>;
  /** Undefined: `mem_agent_enable` is off. */
  readonly memoryAgent: MemoryAgent | undefined;
  /** Undefined: `passfd_listener_port` is 0. */
  readonly stdioPorts: StdioPorts | undefined;
  /** Undefined: `harden` is off. */
  readonly moduleLock: Pick<ModuleLock, 'lock'> | undefined;
  /** Ends the agent once running calls are answered. */
  readonly end: () => void;
}

type CallContext = HandlerContext<Caller>;

/** One RPC: decode (done), action, encode (done by the server). Throws GuestError or TtrpcError. */
export type Handler<M extends LocalName> = (
  services: Services,
  request: MessageShape<Methods[M]['input']>,
  context: CallContext,
) => Promise<MessageInitShape<Methods[M]['output']>>;

/** A row for each method of the service: the compiler rejects a missing one. */
export type HandlerTable = { readonly [M in LocalName]: Handler<M> };

/** The error of a call that was allowed, had to wait, and is denied when its turn comes, or when the guest has its image. */
export function refusedInTurn(decision: Decision): GuestError {
  const kind = decision.rule === undefined ? 'unimplemented' : 'refused';
  return new GuestError(kind, statusOf(decision).message);
}
