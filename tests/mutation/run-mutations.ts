import { clone, type Message } from '@bufbuild/protobuf';
import { requestSchema, SandboxView } from '@kata-agent/analysis';
import type { ExpectedCall } from '@kata-agent/workloads';
import type { RuleContext } from '@kata-agent/gate';
import type { Expected } from './expected-requests.js';
import { fieldMutations, type Mutation } from './field-mutations.js';
import type { ReviewedList } from './reviewed-list.js';
import { type GuestState, guestRefusal } from './guest-refusal.js';
import { textHash } from './text-hash.js';

/** One changed request, and its result. */
export interface Outcome {
  readonly expected: Expected;
  readonly call: ExpectedCall;
  readonly mutation: Mutation;
  /** `gate`: the generated configuration; `guest`: its checks of the request; undefined: neither denies. */
  readonly refusedBy: 'gate' | 'guest' | undefined;
  /** The rule, or the guest's message. */
  readonly reason: string;
}

/** A request, and the state of rules and guest when it arrives. */
interface Moment {
  readonly call: ExpectedCall;
  readonly view: (request: Message) => RuleContext;
  readonly state: GuestState;
  /** The result of the guest's checks for the unchanged request: resources such as a disk can be missing here. */
  readonly asIs: () => string | undefined;
}

/** A candidate mutation. */
export interface Candidate {
  readonly expected: Expected;
  readonly moment: Moment;
  readonly mutation: Mutation;
}

/** Returns all mutations of all requests of the workload's pod, each request in its place among the others. */
export function* candidates(expected: Expected): Generator<Candidate> {
  const { calls, authorizer } = expected;
  for (const [index, call] of calls.entries()) {
    const before = calls.slice(0, index);
    const state = {
      containers: containersAfter(before),
      access: expected.access,
      verifiedLayers: expected.setup.verifiedLayers !== undefined,
    };
    let asIs: { readonly refusal: string | undefined } | undefined;
    const moment: Moment = {
      call,
      view: (request) => {
        const view = new SandboxView(authorizer.listeners);
        for (const earlier of before) view.happened(earlier);
        return view.context({ method: call.method, request });
      },
      state,
      asIs: () => (asIs ??= { refusal: guestRefusal(call.request, state) }).refusal,
    };
    for (const mutation of fieldMutations(requestSchema(call.method), call.request))
      yield { expected, moment, mutation };
  }
}

export function tryMutation({ expected, moment, mutation }: Candidate): Outcome {
  const { call, view, state } = moment;
  const request = clone(requestSchema(call.method), call.request);
  mutation.apply(request);
  const decision = expected.authorizer.decide(call.method, request, view(request));
  const made = { expected, call, mutation };
  if (decision.outcome === 'deny')
    return { ...made, refusedBy: 'gate', reason: decision.rule ?? decision.reason };
  // What the unchanged request lacks here, such as its disk, is no reason.
  const refusal = guestRefusal(request, state);
  const isRefused = refusal !== undefined && refusal !== moment.asIs();
  return { ...made, refusedBy: isRefused ? 'guest' : undefined, reason: isRefused ? refusal : '' };
}

/**
 * Returns a limited number for each setup, method, field and kind, deterministically from any workloads. Every field is
 * included with every kind of change, and every mutation that matches an entry of the list.
 */
export function sample(all: Iterable<Candidate>, quota: number, list: ReviewedList): readonly Candidate[] {
  const groups = new Map<string, { readonly hash: number; readonly candidate: Candidate }[]>();
  for (const candidate of all) {
    const { expected, moment, mutation } = candidate;
    const { runtime, guest, snapshotter = '', verifiedLayers } = expected.setup;
    const { method } = moment.call;
    const reviewed = list.entriesFor(method, mutation, expected.name).join(' ');
    const verified = verifiedLayers === undefined ? '' : 'verified';
    const key = `${runtime} ${guest} ${snapshotter} ${verified} ${method} ${mutation.field} ${mutation.kind} ${reviewed}`;
    const hash = textHash(`${expected.name} ${moment.call.because} ${key} ${mutation.detail}`);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    if (group.length >= quota && hash >= (group.at(-1)?.hash ?? 0)) continue;
    group.push({ hash, candidate });
    group.sort((a, b) => a.hash - b.hash);
    if (group.length > quota) group.pop();
  }
  return [...groups.values()].flatMap((group) => group.map(({ candidate }) => candidate));
}

/** Returns the ids of the containers that exist after these calls. */
export function containersAfter(calls: readonly ExpectedCall[]): readonly string[] {
  const ids: string[] = [];
  for (const { method, request } of calls) {
    if (method === 'CreateContainer' && 'containerId' in request) ids.push(String(request.containerId));
    if (method === 'RemoveContainer' && 'containerId' in request)
      ids.splice(ids.indexOf(String(request.containerId)), 1);
  }
  return ids;
}
