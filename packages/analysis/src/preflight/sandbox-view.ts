import { isMessage, type Message } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import { claimedName, type ContainerFacts, type MemberFacts, type RuleContext } from '@kata-agent/gate';
import { CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import type { ExpectedCall } from '../calls/expected-call.js';
import { claimsOf } from '../test/claims-of.js';
import { ruleContextOf } from '../test/rule-context-of.js';

type Called = Pick<ExpectedCall, 'method' | 'request'>;

/** What rules see of sandbox and containers while the calls of a workload come in, in their order. */
export class SandboxView {
  readonly #listeners: readonly ListenerSettings[];
  readonly #claims = new Map<string, ContainerFacts['claimed']>();
  readonly #removed: MemberFacts[] = [];
  readonly #started = new Set<string>();
  #id = '';

  constructor(listeners: readonly ListenerSettings[]) {
    this.#listeners = listeners;
  }

  /** The context of the next call, which then happens. */
  next(call: Called): RuleContext {
    const context = this.context(call);
    this.happened(call);
    return context;
  }

  /** The context of a call, were it made now. */
  context({ method, request }: Called): RuleContext {
    const id = idIn(request);
    const claimed = this.#claims.get(id);
    return ruleContextOf(
      {
        method,
        request,
        sandbox: { id: this.#id, containers: [...this.#claims.keys()], members: this.#members() },
        ...(claimed === undefined ? {} : { container: { id, claimed, state: stateBefore(method) } }),
      },
      this.#listeners,
    );
  }

  #members(): readonly MemberFacts[] {
    const there = [...this.#claims].map(([id, { annotations }]): MemberFacts => {
      const name = claimedName(annotations);
      return { name, state: this.#started.has(id) ? 'running' : 'created' };
    });
    return [...there, ...this.#removed];
  }

  /** `exitCode`: of the container, where the call removes one. */
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

/** What a container is like when a runtime makes the call. */
function stateBefore(method: ExpectedCall['method']): ContainerFacts['state'] {
  if (method === 'StartContainer') return 'created';
  return method === 'RemoveContainer' ? 'stopped' : 'running';
}
