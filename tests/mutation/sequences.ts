import { clone } from '@bufbuild/protobuf';
import { SandboxView } from '@kata-agent/analysis';
import type { ExpectedCall } from '@kata-agent/workloads';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { containerIdOf } from './guest-refusal.js';
import type { Expected } from './expected-requests.js';

type Called = Pick<ExpectedCall, 'method' | 'request'> & {
  /** The exit code of the container that the call removes. */
  readonly exitCode?: number;
};

/** A changed sequence of a pod's calls. */
export interface Sequence {
  readonly kind: 'dropped' | 'repeated' | 'swapped' | 'second' | 'restarted' | 'failed' | 'early';
  /** The changed call, with the kind of its container. */
  readonly about: string;
  readonly calls: readonly Called[];
}

/**
 * Returns every call dropped, repeated and swapped with the one before; every container created at other times than
 * once in order.
 */
export function* sequences({ calls, workload }: Expected): Generator<Sequence> {
  const role = ({ container }: ExpectedCall): string =>
    workload.containers.find(({ name }) => name === container)?.role ?? 'pause';
  const called: readonly Called[] = calls;
  for (const [index, call] of calls.entries()) {
    const about = call.method;
    yield { kind: 'dropped', about, calls: calls.toSpliced(index, 1) };
    yield { kind: 'repeated', about, calls: calls.toSpliced(index, 0, call) };
    const before = calls[index - 1];
    if (before !== undefined && before.method !== call.method)
      yield {
        kind: 'swapped',
        about: `${call.method} before ${before.method}`,
        calls: [...calls.slice(0, index - 1), call, before, ...calls.slice(index + 1)],
      };
    if (call.method !== 'CreateContainer') continue;
    const made = `CreateContainer of ${role(call)}`;
    const second = again(call, calls);
    yield { kind: 'second', about: made, calls: called.toSpliced(index + 1, 0, second) };
    const sandbox = calls.findIndex(({ method }) => method === 'CreateSandbox');
    if (sandbox + 1 < index)
      yield { kind: 'early', about: made, calls: calls.toSpliced(index, 1).toSpliced(sandbox + 1, 0, call) };
    const removal = removalOf(call, calls);
    if (removal < 0) continue;
    yield { kind: 'restarted', about: made, calls: called.toSpliced(removal + 1, 0, second) };
    const failed = calls.map((each, at): Called => (at === removal ? { ...each, exitCode: 1 } : each));
    yield { kind: 'failed', about: made, calls: failed };
    yield {
      kind: 'second',
      about: `${made} after all others`,
      calls: [...calls.slice(0, removal + 1), ...calls.slice(removal + 1, -1), second],
    };
  }
}

/** Returns the method at which the sequence is denied, and by what; undefined: it is allowed. */
export function sequenceRefusal({ authorizer }: Expected, calls: readonly Called[]): string | undefined {
  const view = new SandboxView(authorizer.listeners);
  const guest = new GuestModel();
  for (const call of calls) {
    const { method, request } = call;
    if (method === 'CreateContainer') {
      const { outcome, rule = '' } = authorizer.decide(method, request, view.context(call));
      if (outcome === 'deny') return `gate: ${rule}`;
    }
    const refusal = guest.call(call);
    if (refusal !== undefined) return `guest: ${refusal}`;
    view.happened(call, call.exitCode);
  }
  return undefined;
}

/** The guest's result for a call in a sequence: depends only on which containers exist and which are started. */
class GuestModel {
  readonly #containers = new Map<string, 'created' | 'started'>();
  #sandbox = false;

  call({ method, request }: Called): string | undefined {
    if (method === 'CreateSandbox') {
      if (this.#sandbox || this.#containers.size > 0) return 'the sandbox was created before';
      this.#sandbox = true;
    }
    const id = containerIdOf(request);
    if (id === undefined) return undefined;
    const state = this.#containers.get(id);
    if (method === 'CreateContainer') {
      if (state !== undefined) return 'container exists';
      this.#containers.set(id, 'created');
      return undefined;
    }
    if (state === undefined) return 'there is no such container';
    if (method === 'StartContainer') {
      if (state === 'started') return 'the container was started before';
      this.#containers.set(id, 'started');
    }
    if (method === 'ExecProcess' && state !== 'started') return 'the container was not started';
    if (method === 'RemoveContainer') this.#containers.delete(id);
    return undefined;
  }
}

/** The same container with another ID, as far as its paths allow. */
function again(call: ExpectedCall, calls: readonly ExpectedCall[]): Called {
  const first = clone(CreateContainerRequestSchema, call.request as never);
  const { containerId } = first;
  const other = `${containerId.slice(1)}0`;
  const sandboxId = calls.flatMap(({ request }) =>
    'sandboxId' in request ? [String(request.sandboxId)] : [],
  )[0];
  const text = JSON.stringify(first, (_, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value,
  );
  // A pause container has the ID of its sandbox, which does not change.
  const annotations = { ...first.OCI?.Annotations };
  const renamed = JSON.parse(text.replaceAll(containerId, other)) as typeof first;
  const copy = Object.assign(clone(CreateContainerRequestSchema, first), {
    containerId: other,
    execId: renamed.execId,
  });
  if (copy.OCI?.Root !== undefined && renamed.OCI?.Root !== undefined)
    copy.OCI.Root.Path = renamed.OCI.Root.Path;
  for (const [index, mount] of (copy.OCI?.Mounts ?? []).entries()) {
    const local = mount.type === 'local' || containerId === sandboxId;
    const source = renamed.OCI?.Mounts[index]?.source;
    if (source !== undefined && !(local && mount.type === 'local')) mount.source = source;
  }
  for (const [index, each] of copy.storages.entries()) {
    const to = renamed.storages[index];
    if (to === undefined || each.driver === 'local') continue;
    each.mountPoint = to.mountPoint;
    each.source = to.source;
  }
  if (copy.OCI !== undefined) copy.OCI.Annotations = annotations;
  return { method: call.method, request: copy };
}

function removalOf({ request }: ExpectedCall, calls: readonly ExpectedCall[]): number {
  const id = 'containerId' in request ? request.containerId : '';
  return calls.findIndex(
    (each) =>
      each.method === 'RemoveContainer' && 'containerId' in each.request && each.request.containerId === id,
  );
}
