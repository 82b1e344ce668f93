import {
  type ExpectedCall,
  type RuntimeSetup,
  expectedCalls,
  parseImageConfig,
  readWorkloads,
} from '@kata-agent/workloads';
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
import { offlineAuthorizer } from '../suites/offline-authorizer.js';
import { SandboxView } from '../preflight/sandbox-view.js';
import { requestSchema } from '../offline-requests.js';
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
        - { name: settings, mountPath: /settings }
    - name: worker
      image: i
      command: [sleep, "1"]
      livenessProbe: { exec: { command: [check-worker] } }
  volumes: [{ name: scratch, emptyDir: {} }, { name: fast, emptyDir: { medium: Memory } }, { name: settings, configMap: { name: settings } }]
---
kind: ConfigMap
metadata: { name: settings }
data: { level: high }
---
kind: Secret
metadata: { name: secret }
stringData: { password: do-not-tell }
`;
const image = { config: { Env: ['PATH=/bin'] } };

const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'confidential' },
  { runtime: 'rs', guest: 'confidential' },
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
];

/**
 * Evaluates a generated configuration on changed requests of the pod. Each method returns the rule that denies, if any.
 */
export interface Refusals {
  readonly setup: RuntimeSetup;
  /** The configuration. */
  readonly text: string;
  readonly calls: readonly ExpectedCall[];
  /** Changes the first request of a method; for CreateContainer and ExecProcess, that of a container. */
  readonly refusal: (
    method: MethodName,
    change: (request: Message) => void,
    which?: string,
  ) => string | undefined;
  /** The container `web` by default; empty: the pause container. */
  readonly created: (change: (made: Made) => void, which?: string) => string | undefined;
  readonly executed: (change: (request: ExecProcessRequest) => void, which?: string) => string | undefined;
}

/** Runs tests with the pod's configuration for each setup, with all rules written out and with a profile. `more`: members of the image's configuration. */
export function describeRefusals(
  title: string,
  tests: (refusals: Refusals) => void,
  {
    of = setups,
    more = {},
    pod: manifest = pod,
    sent = () => undefined,
  }: {
    readonly of?: readonly RuntimeSetup[];
    readonly more?: object;
    readonly pod?: string;
    /** Changes each CreateContainer request of the model before the test does. `which`: the container's name. */
    readonly sent?: (made: Made, which: string) => void;
  } = {},
): void {
  const images = new Map([['i', parseImageConfig(JSON.stringify({ ...image, ...more }))]]);
  for (const [setup, explicit] of of.flatMap((each) => [[each, true] as const, [each, false] as const])) {
    const how = explicit ? '' : ', with a profile';
    void describe(`${title}, ${setup.runtime}, ${setup.guest}${how}`, () => {
      const workloads = readWorkloads([{ file: 'pod.yaml', text: manifest }]);
      const text = renderPlan(generate(workloads, { setup, images, explicit }), []);
      const calls = workloads.flatMap((workload) => expectedCalls(workload, setup, images));
      let refusal: (
        method: MethodName,
        change: (request: Message) => void,
        which?: string,
      ) => string | undefined;

      before(async () => {
        // Checks of the agent itself are tested elsewhere: the rules must hold without them.
        const open = text.replace('[agent]\n', '[agent]\nprivileged_containers = "allow"\n');
        const configuration = await configurationOf(open, async () => createRuleChecker());
        const authorizer = offlineAuthorizer(
          configuration,
          compileRules(configuration.api.documents.flatMap(({ rules }) => rules)),
        );
        refusal = (method, change, which = 'web') => {
          const view = new SandboxView(authorizer.listeners);
          for (const expected of calls) {
            const call = asSent(expected, sent);
            if (call.method !== method || !isOf(call, which)) {
              view.next(call);
              continue;
            }
            const request = clone(requestSchema(method), call.request);
            change(request);
            return authorizer.decide(method, request, view.next({ ...call, request })).rule;
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

function asSent(call: ExpectedCall, change: (made: Made, which: string) => void): ExpectedCall {
  if (!isMessage(call.request, CreateContainerRequestSchema)) return call;
  const request = clone(CreateContainerRequestSchema, call.request);
  change(made(request), call.container ?? '');
  return { ...call, request };
}

/** A CreateContainer request, and its parts. */
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

/** Reports whether a call is about the container with this name. */
function isOf({ method, container }: ExpectedCall, name: string): boolean {
  return (method !== 'CreateContainer' && method !== 'ExecProcess') || container === name;
}
