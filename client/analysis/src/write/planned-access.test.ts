import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWorkloads } from '@kata-agent/workloads';
import { generate } from '../generate/generate.js';
import { configurationOf } from '../testing/configuration-of.js';
import type { Plan } from './plan.js';
import { renderPlan } from './render-plan.js';

const asking = (fields: string, security = ''): string =>
  `apiVersion: v1
kind: Pod
metadata: { name: shop }
spec:
  ${fields}
  containers:
    - name: web
      image: registry.example/web:1
      securityContext: { ${security} }
    - { name: other, image: registry.example/other:1 }
`;

function planOf(text: string, allowPrivileged = false): Plan {
  const setup = { runtime: 'go', guest: 'shared-fs' } as const;
  return generate(readWorkloads([{ file: 'pod.yaml', text }]), { setup, images: new Map(), allowPrivileged });
}

test('what a pod has beside every other is opened by the key for it alone', async () => {
  const closed = await configurationOf(renderPlan(planOf(asking('')), []));
  const { settings: unset } = closed;
  const cases = [
    [
      asking('', 'capabilities: { add: [NET_ADMIN, SYS_TIME] }'),
      { capabilities: ['CAP_NET_ADMIN', 'CAP_SYS_TIME'] },
    ],
    [asking('shareProcessNamespace: true'), { shareProcesses: true }],
    [asking('hostUsers: false'), { userNamespaces: true }],
  ] as const;
  for (const [text, opened] of cases) {
    const plan = planOf(text);
    assert.deepEqual(plan.access.privileged, []);
    assert.deepEqual((await configurationOf(renderPlan(plan, []))).settings, { ...unset, ...opened });
  }
});

test('what only privileged_containers = "allow" allows is denied, with its reasons, unless the caller wants that', async () => {
  for (const security of [
    'privileged: true',
    'capabilities: { add: [SYS_ADMIN, NET_ADMIN] }',
    'capabilities: { add: [ALL] }',
  ]) {
    const text = asking('shareProcessNamespace: true', security);
    const denied = renderPlan(planOf(text), []);
    assert.match(denied, /^# DENIED: .*:\n(# - .*\n)?# - capabilities \(CAP_/m, security);
    assert.match(denied, /^share_processes = true # /m);
    const { settings } = await configurationOf(denied);
    assert.deepEqual([settings.privilegedContainers, settings.capabilities], [undefined, []]);
    const allowed = renderPlan(planOf(text, true), []);
    assert.match(allowed, /^# PRIVILEGED: .*:\n(# - .*\n)?# - capabilities \(CAP_/m, security);
    const { settings: open } = await configurationOf(allowed);
    assert.equal(open.privilegedContainers, 'allow');
    assert.deepEqual([open.shareProcesses, open.capabilities], [false, []]);
  }
});

test('sysctls that Kubernetes does not call safe are named, with their fields, and those that run programs are not', async () => {
  const named = asking(
    'securityContext: { sysctls: [{ name: net/core/somaxconn, value: "4096" }, { name: net.ipv4.tcp_syncookies, value: "1" }, { name: kernel.msgmax, value: "65536" }, { name: kernel.core_pattern, value: core }] }',
  );
  const text = renderPlan(planOf(named), []);
  assert.match(text, /^sysctls = \[\n {2}"net\.core\.somaxconn", # securityContext\.sysctls\[0\]\n\]/m);
  assert.deepEqual((await configurationOf(text)).settings.sysctls, ['net.core.somaxconn']);
});
