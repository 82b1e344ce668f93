import { create, type Message } from '@bufbuild/protobuf';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestAccess } from '@kata-agent/agent/requests';
import { type OfflineAuthorizer, requestSchema, SandboxView } from '@kata-agent/analysis';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Decision, RuleContext } from '@kata-agent/gate';
import { expectedCalls, readWorkloads, type RuntimeSetup } from '@kata-agent/workloads';
import { generated, images } from '../corpus/corpus.js';
import { repository } from '../harness/repository.js';
import { authorizerWith, type Expected } from '../mutation/expected-requests.js';
import { candidates, tryMutation } from '../mutation/run-mutations.js';
import { ReviewedList } from '../mutation/reviewed-list.js';
import { furtherChanges } from './further-changes.js';
import { networkRequests } from './network-changes.js';

/** One changed request, and its decision. */
export interface Change {
  readonly pod: string;
  readonly method: string;
  readonly field: string;
  readonly kind: string;
  readonly detail: string;
  /** What refuses it: a rule or a list of the gate, or `guest`; undefined: it is served. */
  readonly refusedBy: string | undefined;
  /** Why a served change is acceptable; empty: no reviewed entry is about it. */
  readonly reasons: readonly string[];
}

/** What the documents do with a method. */
interface Endpoint {
  readonly method: string;
  /** How many documents have it among `allowed_endpoints`. */
  readonly documents: number;
}

/** The decisions of the documents of all pods. */
export interface Decided {
  readonly pods: readonly string[];
  /** Calls of the pods, all of which have to be served. */
  readonly calls: number;
  /** Refusals of unchanged calls, and facts that `generate` names as not constrained. */
  readonly faults: readonly string[];
  readonly changes: readonly Change[];
  readonly endpoints: readonly Endpoint[];
}

const directory = join(repository, 'tests', 'genpolicy', 'pods');

/** The one of genpolicy's default settings: images are pulled in the guest, and emptyDirs are encrypted disks. */
const setup: RuntimeSetup = { runtime: 'go', guest: 'confidential' };

const lists = [new ReviewedList(), new ReviewedList('tests/corpus/known-open.json')];

/** Decides on each change of each field of each call of the pods, in process, with their generated documents. */
export async function decideAll(): Promise<Decided> {
  const pods = readdirSync(directory).toSorted();
  const changes: Change[] = [];
  const faults: string[] = [];
  const documents = new Map<string, number>();
  let calls = 0;
  for (const pod of pods) {
    const [workload] = readWorkloads([{ file: pod, text: readFileSync(join(directory, pod), 'utf8') }]);
    if (workload === undefined) throw new Error(`${pod} has no pod`);
    const { plan, configuration } = await generated(workload, setup);
    const expected: Expected = {
      name: pod,
      setup,
      workload,
      calls: expectedCalls(workload, setup, images),
      authorizer: authorizerWith(configuration),
      access: guestAccess(configuration),
    };
    calls += expected.calls.length;
    for (const { fields } of plan.open) faults.push(`${pod}: ${fields.join(', ')} is not constrained`);
    faults.push(...refusedCalls(expected));
    changes.push(...fieldChanges(expected), ...callChanges(expected), ...networkChanges(expected));
    for (const name of methodNames)
      documents.set(name, (documents.get(name) ?? 0) + (isListed(expected.authorizer, name) ? 1 : 0));
  }
  const endpoints = [...documents].map(([method, count]) => ({ method, documents: count }));
  return { pods, calls, faults, changes, endpoints };
}

function refusedCalls({ name, calls, authorizer }: Expected): readonly string[] {
  const view = new SandboxView(authorizer.listeners);
  const network = networkRequests.filter(({ detail }) => detail === undefined);
  return [...calls, ...network.map((each) => ({ ...each, because: 'the network' }))].flatMap((call) => {
    const { outcome, reason } = authorizer.decide(call.method, call.request, view.next(call));
    return outcome === 'allow' ? [] : [`${name}: ${call.method} of ${call.because}: ${reason}`];
  });
}

function fieldChanges(expected: Expected): readonly Change[] {
  return [...candidates(expected)].map((candidate) => {
    const { call, mutation, refusedBy, reason } = tryMutation(candidate);
    const { field, kind, detail } = mutation;
    const reasons =
      refusedBy === undefined
        ? lists.flatMap((list) => list.reasonsFor(call.method, mutation, expected.name))
        : [];
    return {
      pod: expected.name,
      method: call.method,
      field,
      kind,
      detail,
      refusedBy: refusedBy === 'gate' ? reason : refusedBy,
      reasons,
    };
  });
}

/** Returns the decisions of further changes: in place of their call, or after it. */
function callChanges({ name, calls, authorizer }: Expected): readonly Change[] {
  const view = new SandboxView(authorizer.listeners);
  return calls.flatMap(({ method, request: unchanged }) => {
    const decided = (isAfter: boolean): readonly Change[] =>
      furtherChanges(unchanged)
        .filter(({ kind }) => (kind === 'twice') === isAfter)
        .map(({ field, kind, detail, reasons, request }) => {
          const decision = authorizer.decide(method, request, view.context({ method, request }));
          return { pod: name, method, field, kind, detail, refusedBy: refusalOf(decision), reasons };
        });
    const instead = decided(false);
    view.happened({ method, request: unchanged });
    return [...instead, ...decided(true)];
  });
}

function networkChanges({ name, authorizer }: Expected): readonly Change[] {
  return networkRequests.flatMap(({ method, field, detail, request }) => {
    if (detail === undefined) return [];
    const decision = authorizer.decide(method, request, contextOf(authorizer, method, request));
    return [
      { pod: name, method, field, kind: 'network', detail, refusedBy: refusalOf(decision), reasons: [] },
    ];
  });
}

function refusalOf({ outcome, rule, reason }: Decision): string | undefined {
  return outcome === 'deny' ? (rule ?? reason) : undefined;
}

/** Reports whether a method is in `allowed_endpoints`: an empty request reaches the rules then. */
function isListed(authorizer: OfflineAuthorizer, method: MethodName): boolean {
  const request = create(requestSchema(method));
  const { reason } = authorizer.decide(method, request, contextOf(authorizer, method, request));
  return !reason.startsWith('not in allowed_endpoints');
}

function contextOf({ listeners }: OfflineAuthorizer, method: MethodName, request: Message): RuleContext {
  return new SandboxView(listeners).context({ method, request });
}
