import { type ImageConfigs, parseImageConfig, readWorkloads } from '@kata-agent/workloads';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { configurationOf } from '../testing/configuration-of.js';
import { checkWorkload, type WorkloadReport } from './check-workload.js';

const pod = `kind: Pod
metadata: { name: p }
spec:
  containers:
    - name: c
      image: i
      env: [{ name: LD_PRELOAD, value: /x }]
      livenessProbe: { exec: { command: [check, --all] } }
      volumeMounts: [{ name: v, mountPath: /data }]
  volumes: [{ name: v, emptyDir: {} }]
`;
const known: ImageConfigs = new Map([['i', parseImageConfig('{"config":{"Cmd":["/run"]}}')]]);

async function check(
  api: string,
  images: ImageConfigs = known,
  runtime: 'go' | 'rs' = 'rs',
): Promise<WorkloadReport> {
  const configuration = await configurationOf(`[api]\n${api}\n`, async () => createRuleChecker());
  const [workload] = readWorkloads([{ file: 'pod.yaml', text: pod }]);
  assert.ok(workload !== undefined);
  return checkWorkload(workload, {
    configuration,
    compile: compileRules,
    setup: { runtime, guest: 'shared-fs' },
    images,
  });
}

function rule(method: string, expression: string, more = ''): string {
  return `allowed_endpoints = ["@pod", "@exec"]\n[[api.rule]]\nname = "r"\nendpoints = ["${method}"]\nexpression = '${expression}'\n${more}`;
}

async function changes(api: string): Promise<readonly string[]> {
  return (await check(api)).changes.map(({ text, place }) => `${place ?? ''}: ${text}`);
}

test('the smallest change of a list: what to add, or what to remove', async () => {
  assert.deepEqual(await changes('allowed_endpoints = ["@pod"]'), [
    'config.toml:2: add "ExecProcess" to allowed_endpoints',
  ]);
  assert.deepEqual(
    await changes('allowed_endpoints = ["*"]\nrelease = "4.1"\nblocked_endpoints = ["ExecProcess"]'),
    ['config.toml:4: remove "ExecProcess" from blocked_endpoints'],
  );
  assert.deepEqual(
    await changes('allowed_endpoints = ["*"]\nrelease = "4.1"\nblocked_endpoints = ["@exec"]'),
    [
      'config.toml:4: remove @exec from blocked_endpoints, or list its other members separately: ExecProcess is needed',
    ],
  );
  const pinned = await check('release = "2.0"\nallowed_endpoints = ["@pod", "@exec"]', known, 'go');
  assert.deepEqual(
    pinned.changes.map(({ text }) => text),
    ['raise release: RemoveStaleVirtiofsShareMounts needs 3.2.0, later than release = "2.0" (config.toml)'],
  );
});

test('denials by several lists need a change in each of them', async () => {
  assert.deepEqual(
    await changes('release = "4.1"\nallowed_endpoints = ["@pod"]\nblocked_endpoints = ["@exec"]'),
    [
      'config.toml:4: remove @exec from blocked_endpoints, or list its other members separately: ExecProcess is needed',
      'config.toml:3: add "ExecProcess" to allowed_endpoints',
    ],
  );
  const listener =
    'allowed_endpoints = ["@pod"]\n[[listener]]\nname = "host"\naddress = "unix:///a"\nallowed_endpoints = ["@pod"]';
  assert.deepEqual(await changes(listener), [
    'config.toml:2: add "ExecProcess" to allowed_endpoints',
    'config.toml:6: add "ExecProcess" to allowed_endpoints of listener "host"',
  ]);
});

test('the value that a rule denies is found for any form of expression', async () => {
  const of = async (method: string, expression: string): Promise<readonly string[]> =>
    (await changes(rule(method, expression))).map((text) =>
      text.replace(/^config\.toml:4: change rule "r" to allow /, ''),
    );
  assert.deepEqual(await of('CreateContainer', '!("LD_PRELOAD" in env)'), [
    'the variable "LD_PRELOAD" (spec.containers[0].env[0])',
  ]);
  assert.deepEqual(await of('CreateContainer', '!env.exists(n, n.matches("^LD_")) || args == ["/pause"]'), [
    'the variable "LD_PRELOAD" (spec.containers[0].env[0])',
  ]);
  assert.deepEqual(await of('CreateContainer', 'request.OCI.Mounts.all(m, m.destination != "/data")'), [
    'the mount ["bind", "/data"] from "/run/kata-containers/shared/containers/" (spec.containers[0].volumeMounts[0])',
  ]);
  assert.deepEqual(await of('CreateContainer', '!("CAP_MKNOD" in capabilities)'), [
    'the capability "CAP_MKNOD" (the container engine)',
  ]);
  assert.deepEqual(await of('ExecProcess', 'args[0] == "other"'), [
    'the command ["check", "--all"] (spec.containers[0].livenessProbe.exec)',
  ]);
  assert.deepEqual(await of('SignalProcess', 'signal != 15'), ['the signal 15 (spec.containers[0].image)']);
  assert.deepEqual(await of('StartContainer', 'container.state == "paused"'), ['StartContainer']);
});

test('a rule in audit mode denies nothing', async () => {
  assert.equal((await check(rule('ExecProcess', 'false', 'enforcement = "audit"'))).sufficient, true);
});

test('facts from the image are not checked without it, with a note', async () => {
  const report = await check(rule('CreateContainer', 'args in [["/pause"], ["/run"]]'), new Map());
  assert.equal(report.sufficient, true);
  assert.match(
    report.unchecked.join(),
    /rule "r": the configuration of image i is not given \(--image-config i=FILE\)/,
  );
  assert.equal((await check(rule('CreateContainer', 'args in [["/pause"], ["/run"]]'))).sufficient, true);
  const mounts = await check(
    rule('CreateContainer', '!mounts.exists(m, m.destination == "/data")'),
    new Map(),
  );
  assert.equal(mounts.sufficient, false);
});

test('the first denied call is first', async () => {
  const report = await check('allowed_endpoints = []');
  assert.equal(report.refused[0]?.method, 'UpdateInterface');
  assert.equal(report.refused[0]?.feature, 'network');
});

test("rules see the container's state and the host's claims", async () => {
  assert.equal((await check(rule('StartContainer', 'container.state == "created"'))).sufficient, true);
  assert.equal((await check(rule('CreateContainer', 'container.state == "none"'))).sufficient, true);
  assert.equal((await check(rule('ExecProcess', 'container.claimed.image == "i"'))).sufficient, true);
  assert.equal((await check(rule('ExecProcess', 'container.claimed.image == "j"'))).sufficient, false);
  assert.equal((await check(rule('ExecProcess', 'sandbox.containers.size() == 2'))).sufficient, true);
});

test('every rule that denies a call is found, with every value that it denies', async () => {
  const two =
    rule('CreateContainer', '!("LD_PRELOAD" in env)') +
    '\n[[api.rule]]\nname = "s"\nendpoints = ["@pod"]\n' +
    'expression = \'!has(request.OCI) || request.OCI.Mounts.all(m, m.destination != "/data")\'';
  const report = await check(two);
  assert.deepEqual(
    report.changes.map(({ text }) => text.slice(0, 31)),
    ['change rule "r" to allow the va', 'change rule "s" to allow the mo'],
  );
});

test('a sysctl that the guest refuses is named, with the setting that allows it', async () => {
  const named = async (settings: string, name: string): Promise<WorkloadReport['unbuilt']> => {
    const text = pod.replace(
      'spec:\n',
      `spec:\n  securityContext: { sysctls: [{ name: net.ipv4.tcp_syncookies, value: "1" }, { name: ${name}, value: "1" }] }\n`,
    );
    const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
    assert.ok(workload !== undefined);
    const configuration = await configurationOf(
      `[agent]\n${settings}\n[api]\nallowed_endpoints = ["@pod", "@exec"]\n`,
    );
    return checkWorkload(workload, {
      configuration,
      compile: compileRules,
      setup: { runtime: 'go', guest: 'shared-fs' },
      images: known,
    }).unbuilt;
  };
  const refused = {
    kind: 'pod field',
    name: 'sysctls',
    because: 'spec.securityContext.sysctls[1]',
    reason: 'sysctl net.core.somaxconn is refused',
    help: 'write sysctls = ["net.core.somaxconn"] in [agent]',
  };
  assert.deepEqual(await named('', 'net.core.somaxconn'), [refused]);
  assert.deepEqual(await named('', 'net/core/somaxconn'), [refused]);
  assert.deepEqual(await named('sysctls = ["net.core.somaxconn"]', 'net.core.somaxconn'), []);
  assert.deepEqual(await named('privileged_containers = "allow"', 'net.core.somaxconn'), []);
  assert.equal((await named('', 'kernel.core_pattern'))[0]?.help, 'set it in the guest image');
});
