import assert from 'node:assert/strict';
import { before, describe } from 'node:test';
import { clone, isMessage, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type ExecProcessRequest,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import type { ExpectedCall } from '../calls/expected-call.js';
import { expectedCalls } from '../calls/expected-calls.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import { parseImageConfig } from '../pod/image-config.js';
import { readWorkloads } from '../pod/read-workloads.js';
import { judgeOf } from '../preflight/judge-of.js';
import { SandboxView } from '../preflight/sandbox-view.js';
import { requestSchema } from '../request-schema.js';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';

const pod = `kind: Pod
metadata: { name: shop, labels: { tier: gold }, annotations: { example/own: yes } }
spec:
  securityContext:
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 2000
    supplementalGroups: [3000]
    sysctls: [{ name: net.ipv4.ip_forward, value: "1" }]
  containers:
    - name: web
      image: i
      command: [sleep, "1"]
      env:
        - { name: MODE, value: front }
        - { name: TIER, valueFrom: { fieldRef: { fieldPath: "metadata.labels['tier']" } } }
        - { name: ADDRESS, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
        - { name: LEVEL, valueFrom: { configMapKeyRef: { name: settings, key: level } } }
        - { name: PASSWORD, valueFrom: { secretKeyRef: { name: secret, key: password } } }
        - { name: DB_PORT, value: "5432" }
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true }
      livenessProbe: { exec: { command: [check-web] } }
      volumeMounts:
        - { name: scratch, mountPath: /scratch }
        - { name: fast, mountPath: /fast, readOnly: true }
    - name: worker
      image: i
      command: [sleep, "1"]
      livenessProbe: { exec: { command: [check-worker] } }
  volumes: [{ name: scratch, emptyDir: {} }, { name: fast, emptyDir: { medium: Memory } }]
---
kind: ConfigMap
metadata: { name: settings }
data: { level: high }
---
kind: Secret
metadata: { name: secret }
stringData: { password: do-not-tell }
`;
const images = new Map([['i', parseImageConfig('{"config":{"Env":["PATH=/bin"]}}')]]);

const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'confidential' },
  { runtime: 'rs', guest: 'confidential' },
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
];

/** What a generated configuration says to changed requests of the pod. Each answer: the rule that refuses, if one does. */
export interface Refusals {
  readonly setup: RuntimeSetup;
  /** The configuration. */
  readonly text: string;
  readonly calls: readonly ExpectedCall[];
  /** To the first request of a method, changed; of CreateContainer and ExecProcess that of a container. */
  readonly refusal: (
    method: MethodName,
    change: (request: Message) => void,
    which?: string,
  ) => string | undefined;
  /** Of the container `web`, if none is named; empty: the pause container. */
  readonly created: (change: (made: Made) => void, which?: string) => string | undefined;
  readonly executed: (change: (request: ExecProcessRequest) => void, which?: string) => string | undefined;
}

/** Tests with the pod's configuration for each set-up. */
export function describeRefusals(title: string, tests: (refusals: Refusals) => void): void {
  for (const setup of setups) {
    void describe(`${title}, ${setup.runtime}, ${setup.guest}`, () => {
      const workloads = readWorkloads([{ file: 'pod.yaml', text: pod }]);
      const text = renderPlan(generate(workloads, { setup, images }), []);
      const calls = workloads.flatMap((workload) => expectedCalls(workload, setup, images));
      let refusal: (
        method: MethodName,
        change: (request: Message) => void,
        which?: string,
      ) => string | undefined;

      before(async () => {
        // What the agent itself refuses is tested elsewhere: the rules hold without it.
        const open = text.replace('[agent]\n', '[agent]\nprivileged_containers = "allow"\n');
        const configuration = await configurationOf(open, async () => createRuleChecker());
        const judge = judgeOf(
          configuration,
          compileRules(configuration.api.documents.flatMap(({ rules }) => rules)),
        );
        refusal = (method, change, which = 'web') => {
          const view = new SandboxView(judge.listeners);
          for (const call of calls) {
            if (call.method !== method || !isOf(call, which)) {
              view.next(call);
              continue;
            }
            const request = clone(requestSchema(method), call.request);
            change(request);
            return judge.decide(method, request, view.next({ ...call, request })).rule;
          }
          throw new TypeError(`no ${method} of ${which}`);
        };
      });

      const created = (change: (request: Made) => void, which?: string): string | undefined =>
        refusal(
          'CreateContainer',
          (request) => {
            assert.ok(isMessage(request, CreateContainerRequestSchema));
            change(made(request));
          },
          which,
        );
      const executed = (change: (request: ExecProcessRequest) => void, which?: string): string | undefined =>
        refusal(
          'ExecProcess',
          (request) => {
            assert.ok(isMessage(request, ExecProcessRequestSchema));
            change(request);
          },
          which,
        );

      tests({ setup, text, calls, refusal: (...of) => refusal(...of), created, executed });
    });
  }
}

/** A request to create a container, and its parts. */
export interface Made {
  readonly request: CreateContainerRequest;
  readonly process: NonNullable<NonNullable<CreateContainerRequest['OCI']>['Process']>;
  readonly linux: NonNullable<NonNullable<CreateContainerRequest['OCI']>['Linux']>;
  readonly root: NonNullable<NonNullable<CreateContainerRequest['OCI']>['Root']>;
  readonly mounts: NonNullable<CreateContainerRequest['OCI']>['Mounts'];
  readonly annotations: Record<string, string>;
}

function made(request: CreateContainerRequest): Made {
  const { OCI } = request;
  assert.ok(OCI?.Process !== undefined && OCI.Linux !== undefined && OCI.Root !== undefined);
  const { Process: process, Linux: linux, Root: root, Mounts: mounts, Annotations: annotations } = OCI;
  return { request, process, linux, root, mounts, annotations };
}

/** Whether a call is about the container of this name. */
function isOf({ method, container }: ExpectedCall, name: string): boolean {
  return (method !== 'CreateContainer' && method !== 'ExecProcess') || container === name;
}
