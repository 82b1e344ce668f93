import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import {
  CloseStdinRequestSchema,
  ExecProcessRequestSchema,
  ReadStreamRequestSchema,
  SignalProcessRequestSchema,
  WaitProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { readWorkloads, type RuntimeSetup } from '@kata-agent/workloads';
import { offlineAuthorizer, ruleContextOf } from '../suites/offline-authorizer.js';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';

const listeners = `
[[listener]]
name = "host"
address = "unix:///run/host.sock"
[[listener]]
name = "tenant"
address = "unix:///run/tenant.sock"
`;

type Decide = (listener: string, method: MethodName, request: Message) => string;

async function decisions(more: string, setup: RuntimeSetup, explicit: boolean): Promise<Decide> {
  const text = `kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: i, command: [sleep]${more} }] }\n`;
  const workloads = readWorkloads([{ file: 'pod.yaml', text }]);
  const plan = generate(workloads, { setup, images: new Map(), explicit, operators: 'tenant' });
  const configuration = await configurationOf(renderPlan(plan, []) + listeners, async () =>
    createRuleChecker(),
  );
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  const authorizer = offlineAuthorizer(configuration, compileRules(rules));
  const annotations = {
    'io.kubernetes.cri.container-name': 'c',
    'io.kubernetes.cri.container-type': 'container',
  };
  const container = { id: 'c1', claimed: { image: 'i', annotations }, state: 'running' } as const;
  return (listener, method, request) => {
    const { outcome, rule = '' } = authorizer.decide(
      method,
      request,
      ruleContextOf({ method, request, listener, container }, authorizer.listeners),
    );
    return outcome === 'allow' ? 'allowed' : rule;
  };
}

const exec = (args: readonly string[], terminal = false): Message =>
  create(ExecProcessRequestSchema, {
    containerId: 'c1',
    execId: 'e1',
    process: {
      Args: [...args],
      Env: ['HOSTNAME=p'],
      Cwd: '/',
      Terminal: terminal,
      NoNewPrivileges: false,
      User: { UID: 0, GID: 0 },
      Capabilities: { Bounding: ['CAP_KILL'], Effective: ['CAP_KILL'], Permitted: ['CAP_KILL'] },
    },
  });
const stream = (execId: string): Message =>
  create(ReadStreamRequestSchema, { containerId: 'c1', execId, len: 1 });

const setups: readonly RuntimeSetup[] = [
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
];

for (const setup of setups)
  for (const explicit of [false, true]) {
    const name = `${setup.runtime}, ${setup.guest}, ${explicit ? 'explicit' : 'with a profile'}`;
    test(`the tenant runs any command and reads all streams, and the host none: ${name}`, async () => {
      const decide = await decisions('', setup, explicit);
      for (const [method, request] of [
        ['ExecProcess', exec(['sh'], true)],
        ['ReadStdout', stream('e1')],
        ['ReadStderr', stream('c1')],
        ['CloseStdin', create(CloseStdinRequestSchema, { containerId: 'c1', execId: 'e1' })],
      ] as const) {
        assert.equal(decide('tenant', method, request), 'allowed', method);
        assert.match(decide('host', method, request), /-operators$/, method);
      }
      const signal = create(SignalProcessRequestSchema, { containerId: 'c1', execId: 'e1', signal: 12 });
      assert.equal(decide('tenant', 'SignalProcess', signal), 'allowed');
      const wait = create(WaitProcessRequestSchema, { containerId: 'c1', execId: 'e1' });
      for (const listener of ['host', 'tenant'])
        assert.equal(decide(listener, 'WaitProcess', wait), 'allowed');
    });

    test(`the host runs the probes of the pod alone, under all of their rules: ${name}`, async () => {
      const decide = await decisions(', livenessProbe: { exec: { command: [check] } }', setup, explicit);
      assert.equal(decide('tenant', 'ExecProcess', exec(['sh'], true)), 'allowed');
      assert.equal(decide('host', 'ExecProcess', exec(['sh'])), 'exec-process-commands');
      assert.equal(decide('host', 'ExecProcess', exec(['check'], true)), 'exec-process-terminals');
      assert.match(decide('host', 'ReadStdout', stream('e1')), /-operators$/);
    });
  }

test('a terminal of the pod is read by the host, and what an operator runs is not', async () => {
  const decide = await decisions(', tty: true', { runtime: 'go', guest: 'confidential' }, false);
  assert.equal(decide('host', 'ReadStdout', stream('c1')), 'allowed');
  assert.equal(decide('host', 'ReadStdout', stream('e1')), 'read-stdout-streams');
  assert.equal(decide('tenant', 'ReadStdout', stream('e1')), 'allowed');
});
