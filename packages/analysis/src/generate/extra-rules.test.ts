import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { CopyFileRequestSchema, CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import { readWorkloads } from '../pod/read-workloads.js';
import { judgeOf } from '../preflight/judge-of.js';
import { ruleContextOf } from '../test/rule-context-of.js';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';

/** The name of the rule that refuses; undefined: it passes. */
type Refusal = (method: MethodName, request: Message) => string | undefined;

async function generated(pod: string): Promise<Refusal> {
  const text = `kind: Pod\nspec: { containers: [{ name: c, image: i }]${pod} }\n`;
  const workloads = readWorkloads([{ file: 'pod.yaml', text }]);
  const plan = generate(workloads, { setup: { runtime: 'go', guest: 'confidential' }, images: new Map() });
  const configuration = await configurationOf(renderPlan(plan, []), async () => createRuleChecker());
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  const judge = judgeOf(configuration, compileRules(rules));
  return (method, request) =>
    judge.decide(method, request, ruleContextOf({ method, request }, judge.listeners)).rule;
}

test('files go where the runtimes put them, and links stay in their volume', async () => {
  const refusal = await generated('');
  const folder = '/run/kata-containers/shared/containers';
  const file = `${folder}/${'0'.repeat(64)}-0123456789abcdef-hosts`;
  const copy = (path: string, fileMode = 0o100644, target = ''): string | undefined =>
    refusal('CopyFile', create(CopyFileRequestSchema, { path, fileMode, data: Buffer.from(target) }));
  assert.equal(copy(file), undefined);
  assert.equal(copy(`${file}/..2026/key`), undefined);
  assert.equal(copy(`${file}/..data`, 0o120777, '..2026'), undefined);
  assert.equal(copy(file, 0o040755), undefined);
  assert.equal(copy(`${folder}/${'0'.repeat(64)}/rootfs/bin/sh`), 'copy-file-names');
  assert.equal(copy('/etc/passwd'), 'copy-file-files');
  assert.equal(copy(`${file}/../../x`), 'copy-file-files');
  assert.equal(copy(file.replace('hosts', 'other')), 'copy-file-mounted-names');
  assert.equal(copy(file, 0o104755), 'copy-file-file-modes');
  assert.equal(copy(file, 0o120777, 'x'), 'copy-file-links');
  assert.equal(copy(`${file}/link`, 0o120777, '/etc'), 'copy-file-links');
  assert.equal(copy(`${file}/link`, 0o120777, 'a/../../b'), 'copy-file-links');
  assert.equal(copy(`${file}/socket`, 0o140777), 'copy-file-links');
});

test('the sandbox gets no hooks, no modules, and shared processes only when the pod says so', async () => {
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
