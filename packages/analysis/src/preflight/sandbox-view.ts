import type { ExpectedCall } from '@kata-agent/workloads';
import { isMessage, type Message } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import { claimedName, type RuleContainer, type RuleMember, type RuleContext } from '@kata-agent/gate';
import { CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import { claimsOf } from '../suites/claims-of.js';
import { ruleContextOf } from '../suites/rule-context-of.js';

type Called = Pick<ExpectedCall, 'method' | 'request'>;

/** The rule context of sandbox and containers while the calls of a workload arrive, in order. */
export class SandboxView {
  readonly #listeners: readonly ListenerSettings[];
  readonly #listener: string | undefined;
  readonly #claims = new Map<string, RuleContainer['claimed']>();
  readonly #removed: RuleMember[] = [];
  readonly #started = new Set<string>();
  #id = '';

  /** `listener`: the one that receives the calls; by default the first. */
  constructor(listeners: readonly ListenerSettings[], listener?: string) {
    this.#listeners = listeners;
    this.#listener = listener;
  }

  /** Returns the context of the next call and applies the call. */
  next(call: Called): RuleContext {
    const context = this.context(call);
    this.happened(call);
    return context;
  }

  /** Returns the context of a call without applying it. */
  context({ method, request }: Called): RuleContext {
    const id = idIn(request);
    const claimed = this.#claims.get(id);
    return ruleContextOf(
      {
        method,
        request,
        ...(this.#listener === undefined ? {} : { listener: this.#listener }),
        sandbox: { id: this.#id, containers: [...this.#claims.keys()], members: this.#members() },
        ...(claimed === undefined ? {} : { container: { id, claimed, state: stateBefore(method) } }),
      },
      this.#listeners,
    );
  }

  #members(): readonly RuleMember[] {
    const there = [...this.#claims].map(([id, { annotations }]): RuleMember => {
      const name = claimedName(annotations);
      return { name, state: this.#started.has(id) ? 'running' : 'created' };
    });
    return [...there, ...this.#removed];
  }

  /** `exitCode`: of the container, if the call removes one. */
  happened({ method, request }: Called, exitCode = 0): void {
    const id = idIn(request);
    if (isMessage(request, CreateSandboxRequestSchema)) this.#id = request.sandboxId;
    if (method === 'CreateContainer') this.#claims.set(id, claimsOf(request));
    if (method === 'StartContainer') this.#started.add(id);
    if (method !== 'RemoveContainer') return;
    const claimed = this.#claims.get(id);
    if (claimed !== undefined)
      this.#removed.push({ name: claimedName(claimed.annotations), state: 'removed', exitCode });
    this.#claims.delete(id);
  }
}

function idIn(request: Message): string {
  return 'containerId' in request ? String(request.containerId) : '';
}

/** The container's state when a runtime makes the call. */
function stateBefore(method: ExpectedCall['method']): RuleContainer['state'] {
  if (method === 'StartContainer') return 'created';
  return method === 'RemoveContainer' ? 'stopped' : 'running';
}
