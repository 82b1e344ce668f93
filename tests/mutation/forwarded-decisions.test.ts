import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone, type Message } from '@bufbuild/protobuf';
import { requestSchema } from '@kata-agent/analysis';
import type { MethodName } from '@kata-agent/catalogue';
import { allow, PrivilegeGate } from '@kata-agent/gate';
import { expectedCalls, type RuntimeSetup } from '@kata-agent/workloads';
import { images, setups, workloadFiles, workloadsIn } from './expected-requests.js';
import { fieldMutations } from './field-mutations.js';
import { completed, formContext, forwardRefusal, placeholders, tryForward } from './forwarded-pods.js';
import { guestRefusal } from './guest-refusal.js';
import { containersAfter } from './run-mutations.js';

/**
 * What this agent refuses with the guest must not be forwarded. `KATA_MUTATIONS=all` compares every change of every request; the
 * default is every field, and every kind of change, some times in each setup.
 */
const isEverything = process.env['KATA_MUTATIONS'] === 'all';
const ofEachField = isEverything ? Number.POSITIVE_INFINITY : 4;

/** Changes that the guest refuses and that are forwarded, by method, field and the guest's reason. */
const exceptions: readonly {
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

const settings = {
  privilegedContainers: 'refuse',
  devices: [],
  guestPaths: [],
  networkNamespaces: [],
} as const;
const own = new PrivilegeGate({ documents: [], settings });
const inFront = new PrivilegeGate({ documents: [], settings: { ...settings, forward: 'unix:///inner' } });

function denies(gate: PrivilegeGate, method: MethodName, request: Message): string | undefined {
  const { outcome, reason } = gate.decide(allow('host', method, 'listed'), request);
  return outcome === 'deny' ? reason : undefined;
}

const access = {
  privileged: 'refuse',
  evidencePaths: 'allow',
  devices: [],
  paths: [],
  networkNamespaces: [],
  modules: [],
  sysctls: [],
} as const;

test('no changed request is forwarded that this agent would refuse with the guest', (t) => {
  const counts = { compared: 0, both: 0, neither: 0, 'forward alone': 0, exception: 0 };
  const open = new Map<string, string>();
  const seen = new Map<string, number>();
  for (const setup of setups.filter(({ verifiedLayers }) => verifiedLayers === undefined))
    for (const file of workloadFiles)
      for (const workload of workloadsIn(file)) {
        // Each request in its place among the others of the pod.
        const calls = expectedCalls(workload, setup, images);
        const context = formContext(setup);
        for (const [index, call] of calls.entries()) {
          const { method } = call;
          if (placeholders.has(method)) continue;
          const request = completed(call);
          const state = { containers: containersAfter(calls.slice(0, index)), access };
          const isAsBefore =
            guestRefusal(request, state) === undefined && denies(own, method, request) === undefined;
          for (const mutation of isAsBefore ? fieldMutations(requestSchema(method), request) : []) {
            const key = `${nameOf(setup)} ${method} ${mutation.field} ${mutation.kind}`;
            const count = seen.get(key) ?? 0;
            if (count >= ofEachField) continue;
            seen.set(key, count + 1);
            const changed = clone(requestSchema(method), request);
            mutation.apply(changed);
            counts.compared += 1;
            const here = denies(own, method, changed) ?? guestRefusal(changed, state);
            const forwarded = denies(inFront, method, changed) ?? tryForward(method, changed, context);
            if (here === undefined) counts[forwarded === undefined ? 'neither' : 'forward alone'] += 1;
            else if (forwarded !== undefined) counts.both += 1;
            else if (isKnown(`${method} ${mutation.field} ${mutation.kind} ${mutation.detail}`, here))
              counts.exception += 1;
            else
              open.set(
                `${method} ${mutation.field} ${mutation.kind}`,
                `${mutation.detail}: ${here} (${file}, ${nameOf(setup)})`,
              );
          }
          forwardRefusal(method, request, context);
        }
      }
  t.diagnostic(JSON.stringify(counts));
  assert.deepEqual(
    [...open].map(([what, how]) => `${what}: ${how}`),
    [],
  );
  assert.ok(counts.compared > 9_000 && counts.both > 2_000, JSON.stringify(counts));
});

function isKnown(change: string, reason: string): boolean {
  return exceptions.some((each) => each.change.test(change) && each.reason.test(reason));
}

function nameOf({ runtime, guest, snapshotter }: RuntimeSetup): string {
  return `${runtime} ${guest} ${snapshotter ?? ''}`;
}
