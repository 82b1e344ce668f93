import { isMessage } from '@bufbuild/protobuf';
import { guestAccess } from '@kata-agent/agent/requests';
import { checkWorkload } from '@kata-agent/analysis';
import { compileRules } from '@kata-agent/gate/rules';
import {
  AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
} from '@kata-agent/protocol/agent';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { type ExpectedCall, expectedCalls, type RuntimeSetup, type Workload } from '@kata-agent/workloads';
import { IdleAgent } from '../harness/idle-agent.js';
import { guestRefusal } from '../mutation/guest-refusal.js';
import { ReviewedList } from '../mutation/reviewed-list.js';
import { changedContainers } from './changed-containers.js';
import { documentName, type Generated, images } from './corpus.js';
import { OpenFacts } from './open-facts.js';

/** What an agent with a generated document does with the calls of the document's own pod, and with changed ones. */
export interface Decisions {
  /** Calls that the agent serves. */
  readonly served: number;
  /** Calls that it refuses, with the reasons; absent: none. */
  readonly refused?: readonly string[];
  /** How many changed requests lists and rules refuse, and how many only the guest. */
  readonly changesRefused: readonly [byRules: number, byGuest: number];
  /** How many changed requests are served, by the fact that `generate` names open; absent: none. */
  readonly open?: Readonly<Record<string, number>>;
  /** How many changed requests are served, by the field of their reviewed entry; absent: none. */
  readonly known?: Readonly<Record<string, number>>;
}

/** A document with the pod that it is made from. */
export interface Document {
  readonly manifest: string;
  readonly workload: Workload;
  readonly setup: RuntimeSetup;
  readonly generated: Generated;
}

/** The answers of an agent, and what is wrong with them: decisions that neither `generate` nor `check` announces. */
export interface Answers {
  readonly decisions: Decisions;
  readonly faults: readonly string[];
}

/** How many changed requests are sent at once. */
const atOnce = 64;

/** Changes that are served although `generate` does not name them: those of the example workloads, and those of the corpus alone. */
const reviewed = new ReviewedList();
export const known: ReviewedList = new ReviewedList('tests/corpus/known-open.json');

/** The disk of a sample request is not attached here. */
const lacksDisk = /^device ".*" \(b 0:0\): /;

/** Sends the calls of a pod to an agent with its document, and before each CreateContainer the same request with one change of each fact. */
export async function agentAnswers(document: Document): Promise<Answers> {
  const { workload, setup, generated } = document;
  const { configuration } = generated;
  const agent = await IdleAgent.start(configuration);
  try {
    const access = guestAccess(configuration);
    agent.guest.check = (request, containers) => {
      const refusal = guestRefusal(request, { containers, access });
      return refusal === undefined || lacksDisk.test(refusal) ? undefined : refusal;
    };
    const changes = new ChangeCounts(document);
    const refused: { readonly call: ExpectedCall; readonly reason: string }[] = [];
    let served = 0;
    for (const call of expectedCalls(workload, setup, images)) {
      const { request, container = '' } = call;
      const isCreate = isMessage(request, CreateContainerRequestSchema);
      if (isCreate) agent.guest.forgets = true;
      // Whatever is changed in a request that is refused unchanged, its refusal shows nothing.
      const reason = await refusalOf(agent, call);
      if (isCreate && reason === undefined) {
        await tryChanges(agent, request, container, changes);
        agent.guest.forgets = false;
        await refusalOf(agent, call);
      }
      agent.guest.forgets = false;
      if (reason === undefined) served += 1;
      else refused.push({ call, reason: reason.text });
    }
    const reasons = refused.map(({ call, reason }) => `${call.method} of ${call.because}: ${reason}`);
    return {
      decisions: {
        served,
        ...(reasons.length === 0 ? {} : { refused: reasons }),
        changesRefused: [changes.byRules, changes.byGuest],
        ...changes.served(),
      },
      faults: [
        ...changes.faults,
        ...unannounced(
          document,
          refused.map(({ call }) => call),
        ),
      ],
    };
  } finally {
    await agent.close();
  }
}

interface Refusal {
  readonly byGuest: boolean;
  readonly text: string;
}

/** Sends a call. Returns why it is refused; undefined: it is served. Throws any other failure. */
async function refusalOf(
  { channel }: IdleAgent,
  { method, request }: Pick<ExpectedCall, 'method' | 'request'>,
): Promise<Refusal | undefined> {
  const described = AgentService.methods.find(({ name }) => name === method);
  if (described === undefined) throw new Error(`unknown method ${method}`);
  try {
    await channel.call(described, request);
    return undefined;
  } catch (error) {
    if (!(error instanceof TtrpcError)) throw error;
    const byGuest = error.code === Code.InvalidArgument;
    const isRefusal = byGuest || error.code === Code.PermissionDenied || error.code === Code.Unimplemented;
    if (!isRefusal) throw error;
    return {
      byGuest,
      text: error.message.replace(/^.*? is refused here: /, '').replace(/ \(config\.toml:\d+\)/, ''),
    };
  }
}

async function tryChanges(
  agent: IdleAgent,
  request: CreateContainerRequest,
  container: string,
  changes: ChangeCounts,
): Promise<void> {
  const seed = `${changes.seed} ${container}`;
  const all = [...changedContainers(request, { seed, isPause: container === '' })];
  for (let first = 0; first < all.length; first += atOnce)
    await Promise.all(
      all.slice(first, first + atOnce).map(async (changed) => {
        const refusal = await refusalOf(agent, { method: 'CreateContainer', request: changed.request });
        changes.add({ container, before: request, changed, refusal });
      }),
    );
}

type Changed = ReturnType<typeof changedContainers> extends Generator<infer T> ? T : never;

/** The results of the changed requests of one document. */
class ChangeCounts {
  byRules = 0;
  byGuest = 0;
  /** Served changes that nothing names. */
  readonly faults: string[] = [];
  readonly seed: string;
  readonly #document: Document;
  readonly #open = new Map<string, number>();
  readonly #known = new Map<string, number>();

  constructor(document: Document) {
    this.seed = `${document.manifest} ${documentName(document.workload, document.setup)}`;
    this.#document = document;
  }

  add({
    container,
    before,
    changed: { mutation, request },
    refusal,
  }: {
    readonly container: string;
    readonly before: CreateContainerRequest;
    readonly changed: Changed;
    readonly refusal: Refusal | undefined;
  }): void {
    if (refusal?.byGuest === true) this.byGuest += 1;
    else if (refusal !== undefined) this.byRules += 1;
    else {
      const { manifest, workload, generated } = this.#document;
      const open = new OpenFacts(generated.plan, workload, container).named(before, request);
      const { field, kind, detail } = mutation;
      if (open !== undefined)
        count(this.#open, `${container === '' ? 'the pause container' : container}: ${open}`);
      else if (known.hasField('CreateContainer', mutation, manifest) || isReviewed(mutation))
        count(this.#known, `${field} ${kind}`);
      else this.faults.push(`${this.seed}, container "${container}": ${field} ${kind} ${detail} is served`);
    }
  }

  served(): Pick<Decisions, 'open' | 'known'> {
    return {
      ...(this.#open.size === 0 ? {} : { open: Object.fromEntries(this.#open) }),
      ...(this.#known.size === 0 ? {} : { known: Object.fromEntries(this.#known) }),
    };
  }
}

/** Of the examples any value of any variable is reviewed; here `generate` has to name it. */
function isReviewed(mutation: Changed['mutation']): boolean {
  if (mutation.field === 'OCI.Process.Env[]') return false;
  return reviewed.hasField('CreateContainer', mutation, '');
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Returns the calls about which agent and `check` differ. A call can also be refused because an earlier one was. */
function unannounced(
  { workload, setup, generated: { configuration } }: Document,
  refused: readonly ExpectedCall[],
): readonly string[] {
  const report = checkWorkload(workload, { configuration, compile: compileRules, setup, images });
  const name = ({ method, because }: Pick<ExpectedCall, 'method' | 'because'>): string =>
    `${method} of ${because}`;
  const announced = new Set(report.refused.map(name));
  const found = new Set(refused.map(name));
  const [first] = refused;
  const place = `${workload.name}, ${setup.runtime} ${setup.guest}`;
  return [
    ...[...announced].filter((each) => !found.has(each)).map((each) => `${place}: the agent serves ${each}`),
    ...(first !== undefined && report.unbuilt.length === 0 && !announced.has(name(first))
      ? [`${place}: check does not say that the agent refuses ${name(first)}`]
      : []),
  ];
}
