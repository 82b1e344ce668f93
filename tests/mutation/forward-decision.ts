import type { Message } from '@bufbuild/protobuf';
import type { FormContext } from '@kata-agent/agent/requests';
import type { MethodName } from '@kata-agent/catalogue';
import { allow, noAccess, PrivilegeGate } from '@kata-agent/gate';
import { type ExpectedCall, expectedCalls, type RuntimeSetup } from '@kata-agent/workloads';
import { images, setups, workloadFiles, workloadsIn } from './expected-requests.js';
import { completed, formContext, forwardRefusal, placeholders, tryForward } from './forwarded-pods.js';
import { type GuestState, guestRefusal } from './guest-refusal.js';
import { containersAfter } from './run-mutations.js';

/** Changes that the guest refuses and that are forwarded, by method and field, and by the guest's reason. */
export const exceptions: readonly {
  readonly change: RegExp;
  readonly reason: RegExp;
  readonly why: string;
}[] = [
  {
    change: /^(?!Create|Copy)\w+ container_id /,
    reason: /^there is no such container$/,
    why: 'the inner agent looks the id up as text, and answers so',
  },
];

/** A request of a pod in its place among the others: what both sides know when it arrives. */
export interface Moment {
  readonly method: MethodName;
  readonly request: Message;
  /** `go confidential` and the file of the workload. */
  readonly setup: string;
  readonly file: string;
  readonly state: GuestState;
  readonly context: FormContext;
}

const settings = { ...noAccess, privilegedContainers: 'refuse' } as const;
const own = new PrivilegeGate({ documents: [], settings });
const inFront = new PrivilegeGate({ documents: [], settings: { ...settings, forward: 'unix:///inner' } });

const access: GuestState['access'] = {
  privileged: 'refuse',
  evidencePaths: 'allow',
  devices: [],
  paths: [],
  networkNamespaces: [],
  modules: [],
  sysctls: [],
};

/** Returns why each side does not carry a request out; undefined: it does. */
export function decisions(
  method: MethodName,
  request: Message,
  { state, context }: Pick<Moment, 'state' | 'context'>,
): { readonly here: string | undefined; readonly forwarded: string | undefined } {
  return {
    here: denies(own, method, request) ?? guestRefusal(request, state),
    forwarded: denies(inFront, method, request) ?? tryForward(method, request, context),
  };
}

function denies(gate: PrivilegeGate, method: MethodName, request: Message): string | undefined {
  const { outcome, reason } = gate.decide(allow('host', method, 'listed'), request);
  return outcome === 'deny' ? reason : undefined;
}

/** A pod of an example workload in one setup, with the calls of its runtime. */
export interface Pod {
  readonly setup: RuntimeSetup;
  readonly file: string;
  readonly calls: readonly ExpectedCall[];
}

export function pods(): readonly Pod[] {
  return setups
    .filter(({ verifiedLayers }) => verifiedLayers === undefined)
    .flatMap((setup) =>
      workloadFiles.flatMap((file) =>
        workloadsIn(file).map((workload) => ({ setup, file, calls: expectedCalls(workload, setup, images) })),
      ),
    );
}

/**
 * Returns the requests of a pod that this agent carries out. The context of a moment is true until the next moment is taken.
 */
export function* moments({ setup, file, calls }: Pod): Generator<Moment> {
  const context = formContext(setup);
  for (const [index, call] of calls.entries()) {
    const { method } = call;
    if (placeholders.has(method)) continue;
    const request = completed(call);
    const state = { containers: containersAfter(calls.slice(0, index)), access };
    const moment = { method, request, setup: nameOf(setup), file, state, context };
    if (decisions(method, request, moment).here === undefined) yield moment;
    forwardRefusal(method, request, context);
  }
}

function nameOf({ runtime, guest, snapshotter }: RuntimeSetup): string {
  return `${runtime} ${guest} ${snapshotter ?? ''}`;
}

export function isException(change: string, reason: string): boolean {
  return exceptions.some((each) => each.change.test(change) && each.reason.test(reason));
}
