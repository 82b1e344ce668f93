import { type Workload, expectedCalls, readWorkloads } from '@kata-agent/workloads';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone, create, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import {
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
} from '@kata-agent/protocol/agent';
import { type OfflineAuthorizer, offlineAuthorizer, ruleContextOf } from '../suites/offline-authorizer.js';
import { SandboxView } from '../preflight/sandbox-view.js';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';

/** Returns the name of the rule that denies; undefined if the request is allowed. */
type Refusal = (method: MethodName, request: Message) => string | undefined;

const setup = { runtime: 'go', guest: 'confidential' } as const;

/** `container` and `pod`: additional keys of each, with a leading comma. */
async function generated(pod: string, container = ''): Promise<Refusal> {
  const authorizer = await authorizerOfPod(workloadWith(pod, container));
  return (method, request) =>
    authorizer.decide(method, request, ruleContextOf({ method, request }, authorizer.listeners)).rule;
}

function workloadWith(pod: string, container = ''): Workload {
  const text = `kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: i${container} }]${pod} }\n`;
  const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
  assert.ok(workload !== undefined);
  return workload;
}

async function authorizerOfPod(workload: Workload): Promise<OfflineAuthorizer> {
  const plan = generate([workload], { setup, images: new Map() });
  const configuration = await configurationOf(renderPlan(plan, []), async () => createRuleChecker());
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  return offlineAuthorizer(configuration, compileRules(rules));
}

test('files are copied only to the runtimes’ directories, and links stay in their volume', async () => {
  const refusal = await generated('');
  const directory = '/run/kata-containers/shared/containers';
  const file = `${directory}/${'0'.repeat(64)}-0123456789abcdef-hosts`;
  const copy = (path: string, fileMode = 0o100644, target = ''): string | undefined =>
    refusal('CopyFile', create(CopyFileRequestSchema, { path, fileMode, data: Buffer.from(target) }));
  assert.equal(copy(file), undefined);
  assert.equal(copy(`${file}/..2026/key`), undefined);
  assert.equal(copy(`${file}/..data`, 0o120777, '..2026'), undefined);
  assert.equal(copy(file, 0o040755), undefined);
  assert.equal(copy(`${directory}/${'0'.repeat(64)}/rootfs/bin/sh`), 'copy-file-names');
  assert.equal(copy('/etc/passwd'), 'copy-file-files');
  assert.equal(copy(`${file}/../../x`), 'copy-file-files');
  assert.equal(copy(file.replace('hosts', 'other')), 'copy-file-copied-names');
  assert.equal(copy(file, 0o104755), 'copy-file-file-modes');
  assert.equal(copy(file, 0o120777, 'x'), 'copy-file-links');
  assert.equal(copy(`${file}/link`, 0o120777, '/etc'), 'copy-file-links');
  assert.equal(copy(`${file}/link`, 0o120777, 'a/../../b'), 'copy-file-links');
  assert.equal(copy(`${file}/socket`, 0o140777), 'copy-file-links');
});

test('hooks, modules and an unrequested shared PID namespace are denied for the sandbox', async () => {
  const plain = await generated('');
  const shared = await generated(', shareProcessNamespace: true');
  const storages = [
    {
      driver: 'ephemeral',
      source: 'shm',
      fstype: 'tmpfs',
      mountPoint: '/run/kata-containers/sandbox/shm',
      options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=67108864'],
    },
  ];
  const sandbox = (fields: object): Message =>
    create(CreateSandboxRequestSchema, { sandboxId: 'pod', storages, ...fields });
  assert.equal(plain('CreateSandbox', sandbox({})), undefined);
  assert.equal(plain('CreateSandbox', sandbox({ guestHookPath: '/hooks' })), 'create-sandbox-hooks');
  assert.equal(plain('CreateSandbox', sandbox({ kernelModules: [{ name: 'x' }] })), 'create-sandbox-hooks');
  assert.equal(plain('CreateSandbox', sandbox({ sandboxPidns: true })), 'create-sandbox-processes');
  assert.equal(shared('CreateSandbox', sandbox({ sandboxPidns: true })), undefined);
});

test('variables of the pod are enforced if the image is unknown', async () => {
  const workload = workloadWith(
    '',
    ', env: [{ name: MODE, value: safe }, { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]',
  );
  const authorizer = await authorizerOfPod(workload);
  const view = new SandboxView(authorizer.listeners);
  const calls = expectedCalls(workload, setup, new Map());
  const create = calls.find(({ container }) => container === 'c');
  assert.equal(create?.method, 'CreateContainer');
  for (const earlier of calls.slice(0, calls.indexOf(create))) view.happened(earlier);
  const refusal = (change: (env: string[]) => void): string | undefined => {
    const request = clone(CreateContainerRequestSchema, create.request as CreateContainerRequest);
    change(request.OCI?.Process?.Env ?? []);
    return authorizer.decide('CreateContainer', request, view.context({ method: 'CreateContainer', request }))
      .rule;
  };
  assert.equal(
    refusal((env) => void env.push('OF_IMAGE=x')),
    undefined,
  );
  assert.equal(
    refusal((env) => void env.splice(env.indexOf('MODE=safe'), 1)),
    'create-container-environment-complete',
  );
  for (const change of [
    (env: string[]) => void env.splice(env.indexOf('MODE=safe'), 1, 'MODE=other'),
    (env: string[]) => void env.push('MODE=other'),
    (env: string[]) => void env.splice(env.indexOf('NAME=p'), 1, 'NAME=other'),
  ])
    assert.equal(refusal(change), 'create-container-environment');
});
