import type { ExpectedCall } from '@kata-agent/workloads';
import { isMessage, type Message } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import {
  claimedName,
  type RuleContainer,
  type RuleContext,
  type RuleMember,
  type RuleMemberMount,
} from '@kata-agent/gate';
import { kataDirectory } from '@kata-agent/catalogue';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
} from '@kata-agent/protocol/agent';
import { claimsOf, ruleContextOf } from '../suites/offline-authorizer.js';

type Called = Pick<ExpectedCall, 'method' | 'request'>;

/** The rule context of sandbox and containers while the calls of a workload arrive, in order. */
export class SandboxView {
  readonly #listeners: readonly ListenerSettings[];
  readonly #listener: string | undefined;
  readonly #claims = new Map<string, RuleContainer['claimed']>();
  readonly #removed: RuleMember[] = [];
  readonly #started = new Set<string>();
  readonly #mounts = new Map<string, readonly RuleMemberMount[]>();
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
      const mounts = this.#mounts.get(id) ?? [];
      return { name, state: this.#started.has(id) ? 'running' : 'created', mounts };
    });
    return [...there, ...this.#removed];
  }

  /** `exitCode`: of the container, if the call removes one. */
  happened({ method, request }: Called, exitCode = 0): void {
    const id = idIn(request);
    if (isMessage(request, CreateSandboxRequestSchema)) this.#id = request.sandboxId;
    if (isMessage(request, CreateContainerRequestSchema)) {
      this.#claims.set(id, claimsOf(request));
      this.#mounts.set(id, mountsIn(request));
    }
    if (method === 'StartContainer') this.#started.add(id);
    if (method !== 'RemoveContainer') return;
    const claimed = this.#claims.get(id);
    // The storages of a pod's own volumes are kept; those of files of the host end with their containers.
    const mounts = (this.#mounts.get(id) ?? []).filter(({ source }) => isOfPod(source));
    if (claimed !== undefined)
      this.#removed.push({ name: claimedName(claimed.annotations), state: 'removed', exitCode, mounts });
    this.#claims.delete(id);
  }
}

function mountsIn({ OCI }: CreateContainerRequest): readonly RuleMemberMount[] {
  return (OCI?.Mounts ?? []).flatMap(({ destination, source }) =>
    source.startsWith(`${kataDirectory}/`) ? [{ destination, source }] : [],
  );
}

function isOfPod(source: string): boolean {
  return source.startsWith(`${kataDirectory}/sandbox/`) || source.includes('/rootfs/local/');
}

function idIn(request: Message): string {
  return 'containerId' in request ? String(request.containerId) : '';
}

/** The container's state when a runtime makes the call. */
function stateBefore(method: ExpectedCall['method']): RuleContainer['state'] {
  if (method === 'StartContainer') return 'created';
  return method === 'RemoveContainer' ? 'stopped' : 'running';
}
