import assert from 'node:assert/strict';
import { test } from 'node:test';
import { membersOf, type RuntimeName, runtimeCalls } from '@kata-agent/catalogue';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { readWorkloads } from '@kata-agent/workloads';
import { configurationOf } from '../testing/configuration-of.js';
import { checkWorkload } from './check-workload.js';
import { preflightWorkload, type WorkloadPreflight } from './preflight-workload.js';

const pod = (more = ''): string => `kind: Pod
metadata: { name: p }
spec:
  containers:
    - { name: c, image: i, command: [/run], livenessProbe: { exec: { command: [check] } }${more} }
`;

async function preflightOf(
  api: string,
  { text = pod(), runtime = 'rs' }: { text?: string; runtime?: RuntimeName } = {},
): Promise<WorkloadPreflight> {
  const configuration = await configurationOf(`[api]\n${api}\n`, async () => createRuleChecker());
  const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
  assert.ok(workload !== undefined);
  const setup = { runtime, guest: 'shared-fs' } as const;
  return preflightWorkload(
    checkWorkload(workload, { configuration, compile: compileRules, setup, images: new Map() }),
    runtime,
  );
}

const methodsOf = (calls: WorkloadPreflight['others']): readonly string[] =>
  calls.map(({ method }) => method);

test('a call that the runtime needs stops the pod, and another does not', async () => {
  for (const runtime of ['go', 'rs'] as const)
    for (const missing of membersOf('@pod')) {
      const api = `allowed_endpoints = ["@pod", "@exec"]\nblocked_endpoints = ["${missing}"]`;
      const { breaks, others, starts } = await preflightOf(api, { runtime });
      const row = runtimeCalls[runtime].find(
        ({ method, condition }) => method === missing && condition === undefined,
      );
      const stops = row?.refused === 'fails';
      assert.deepEqual(
        [breaks?.method, breaks?.phase],
        stops ? [missing, row.phase] : [undefined, undefined],
        missing,
      );
      assert.equal(starts, !stops, `${missing} ${runtime}`);
      assert.ok(!stops || !methodsOf(others).includes(missing));
    }
});

test('a denied exec probe is lost, and the pod starts', async () => {
  const { starts, others } = await preflightOf('allowed_endpoints = ["@pod"]');
  assert.ok(starts);
  assert.deepEqual(
    others.map(({ method, feature }) => [method, feature]),
    [['ExecProcess', 'exec probes']],
  );
});

test('the first container that a rule denies stops the pod', async () => {
  const rule =
    'allowed_endpoints = ["@pod", "@exec"]\n[[api.rule]]\nname = "r"\nendpoints = ["CreateContainer"]\nexpression = \'!("/run" in args)\'';
  const { starts, breaks, others } = await preflightOf(rule);
  assert.ok(!starts);
  assert.deepEqual(
    [breaks?.method, breaks?.phase, breaks?.decision.rule, breaks?.because],
    ['CreateContainer', 'create', 'r', 'spec.containers[0]'],
  );
  assert.deepEqual(others, []);
});

test('a pod that needs what the agent refuses by name does not start, though each call is served', async () => {
  const text = pod(', resources: { limits: { intel.com/sriov: 1 } }');
  const { starts, breaks, report } = await preflightOf('allowed_endpoints = ["@pod", "@exec"]', { text });
  assert.ok(!starts);
  assert.equal(breaks, undefined);
  assert.deepEqual(
    report.unbuilt.map(({ name }) => name),
    ['intel.com/sriov'],
  );
});
