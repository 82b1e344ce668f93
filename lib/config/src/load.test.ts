import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import { open, pod, filesOf, load, fails, warnings } from './loading.test.fixture.js';

test('without a document the full API is served, with one warning', async () => {
  const configuration = await load(undefined, { defaultPath: '/etc/kata-agent/config.toml' });
  assert.deepEqual(configuration.api, {
    documents: [],
    strict: false,
    onDeniedRead: 'error',
    deniedOutput: 'discard',
  });
  assert.equal(configuration.restricted, false);
  assert.deepEqual(configuration.documents, []);
  assert.deepEqual(configuration.warnings, [
    {
      severity: 'warning',
      code: 'KA1601',
      message: 'there is no configuration: the full API is served',
      help: 'write one to /etc/kata-agent/config.toml',
    },
  ]);
  assert.match((await load(undefined)).warnings[0]?.help ?? '', /name it with -c FILE$/);
});

test('without documents and overrides every setting has its default', async () => {
  const { settings, audit, limits } = await load(undefined);
  assert.equal(settings.serverAddr, 'vsock://-1:1024');
  assert.equal(settings.memAgentCompactForceTimes, 'max');
  assert.deepEqual(audit, {
    file: '/run/kata-agent/audit.log',
    onFailure: 'refuse-changes',
    maxSize: 16_777_216,
    keep: 4,
    facts: false,
    checkpointEveryMs: 10_000,
    heartbeatMs: 60_000,
    witnessQuorum: 1,
    requiredWithin: 'off',
  });
  assert.deepEqual(limits, {
    connections: 64,
    requestsPerConnection: 1024,
    containers: 64,
    execsPerContainer: 32,
    requestFields: 20_000,
    streamBuffer: 1_048_576,
    frameTimeoutMs: 10_000,
  });
});

test('the default path of the audit log follows the state directory; a document’s path does not', async () => {
  const moved = await load(undefined, { stateDirectory: '/tmp/state' });
  assert.equal(moved.audit.file, '/tmp/state/audit.log');
  const row = moved.values.find(({ section, key }) => section === 'audit' && key === 'file');
  assert.equal(row?.source, 'command line --state-dir');
  const written = await load(`${open}[audit]\nfile = "/var/log/audit.log"\n`, {
    stateDirectory: '/tmp/state',
  });
  assert.equal(written.audit.file, '/var/log/audit.log');
});

test("the seed's sample loads without errors or warnings", async () => {
  const seed = `[agent]
debug_console = false
debug_console_vport = 0
log_level = "default"
log_vport = 0
hotplug_timeout = 3
container_pipe_size = 0
server_addr = "vsock://-1:1024"
unified_cgroup_hierarchy = false
[api]
blocked_endpoints = []
`;
  const configuration = await load(seed);
  assert.deepEqual(warnings(configuration), []);
  assert.equal(configuration.settings.logLevel, 'info');
  assert.equal(configuration.restricted, false);
});

test('documents are recorded with the digest of their bytes, and the list with its own digest', async () => {
  const { documents, digest } = await load(open);
  const sha256 = createHash('sha256').update(open).digest('hex');
  assert.deepEqual(documents, [{ file: '/c.toml', source: '-c', sha256 }]);
  assert.equal(digest, createHash('sha256').update(`${sha256}\n`).digest('hex'));
  assert.equal((await load(undefined)).digest, createHash('sha256').digest('hex'));
});

test('a document is read once', async () => {
  const files = filesOf({ '/c.toml': open });
  await load(undefined, { files, configFlag: '/c.toml', kernelCommandLine: 'agent.config_file=/c.toml' });
  assert.deepEqual(files.asked, ['/c.toml']);
});

test('agent.config_file discards neither the other parameters nor the environment', async () => {
  const files = filesOf({ '/k.toml': `${open}[agent]\nlog_level = "error"\nlog_vport = 1\n` });
  const named = 'agent.config_file=/k.toml';
  const settingsOf = async (kernelCommandLine: string, environment = {}) =>
    (await load(undefined, { files, kernelCommandLine, environment })).settings;
  const { logLevel, logVport } = await settingsOf(named);
  assert.deepEqual([logLevel, logVport], ['error', 1]);
  for (const kernelCommandLine of [`${named} agent.log=debug`, `agent.log=debug ${named}`])
    assert.equal((await settingsOf(kernelCommandLine)).logLevel, 'debug', kernelCommandLine);
  const environment = { KATA_AGENT_LOG_LEVEL: 'warn' };
  const both = await settingsOf(`${named} agent.log=debug agent.log_vport=2`, environment);
  assert.deepEqual([both.logLevel, both.logVport], ['warn', 2]);
});

test('groups, * and names are expanded; each method maps to the first entry that covers it', async () => {
  const { api, restricted } = await load(
    '[api]\nrelease = "3.21"\nallowed_endpoints = ["ExecProcess", "@exec", "*"]\nblocked_endpoints = ["@copy"]\n',
  );
  const [document] = api.documents;
  assert.equal(document?.file, '/c.toml');
  assert.equal(document?.release, '3.21');
  assert.deepEqual(document?.allowed?.get('ExecProcess'), {
    entry: 'ExecProcess',
    span: { file: '/c.toml', line: 3, column: 22, endColumn: 35 },
  });
  assert.equal(document?.allowed?.get('CreateSandbox')?.entry, '*');
  assert.equal(document?.allowed?.has('GetDiagnosticData'), false);
  assert.equal(document?.allowed?.size, methodNames.length - 1);
  assert.deepEqual(Array.from(document?.blocked?.keys() ?? []), ['CopyFile']);
  assert.equal(restricted, true);
});

test('a base document without a list serves nothing and warns; a release alone restricts', async () => {
  const configuration = await load('[agent]\nlog_level = "info"\n');
  assert.deepEqual(warnings(configuration), [
    'this document has no list of endpoints, so NOTHING is served but Health',
  ]);
  assert.equal(configuration.restricted, true);
  assert.equal((await load(open)).restricted, false);
  assert.equal((await load(`${open}release = "3.21"\n`)).restricted, true);
  assert.equal((await load('[api]\nblocked_endpoints = []')).restricted, false);
});

test('the configuration is deeply frozen, maps included', async () => {
  const configuration = await load(pod, { kernelCommandLine: 'agent.debug_console' });
  const seen = new Set<unknown>();
  const check = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    assert.ok(Object.isFrozen(value));
    for (const item of value instanceof Map ? value.values() : Object.values(value)) check(item);
  };
  check(configuration);
  assert.ok(seen.size > 100);
  const allowed = configuration.api.documents[0]?.allowed as Map<string, unknown>;
  for (const change of [
    () => allowed.set('ExecProcess', {}),
    () => allowed.delete('WaitProcess'),
    () => allowed.clear(),
  ]) {
    assert.throws(change, { name: 'TypeError', message: 'the configuration is frozen' });
  }
});

test('relaxed permissions give a warning', async () => {
  assert.match(warnings(await load(open, { relaxedPermissions: true })).join(), /permissions are relaxed/);
});

test('a value of a document has its line as source', async () => {
  const { values } = await load(`${open}[limits]\nframe_timeout = "2s"\n`);
  assert.deepEqual(
    values.find(({ key }) => key === 'frame_timeout'),
    {
      section: 'limits',
      key: 'frame_timeout',
      value: 2000,
      source: '/c.toml:4',
      span: { file: '/c.toml', line: 4, column: 1, endColumn: 14 },
      others: [],
    },
  );
});

test('an invalid document is rejected with its diagnostics', async () => {
  assert.match(
    await fails('[api]\nallowed_endpoints = ["Foo"]'),
    /^\/c\.toml:2:22: error\[KA1201\]: unknown endpoint "Foo"/,
  );
});

test('containers get no evidence beside that of the agent, whichever document configures it', async () => {
  const evidence = '[evidence]\nsources = ["configfs-tsm"]\n';
  for (const value of ['all', 'attestation']) {
    const agent = `[agent]\nguest_components_rest_api = "${value}"\n`;
    const message = await fails(`${pod}${evidence}${agent}`);
    assert.match(message, /c\.toml:6:1: error\[KA1110\].*any container would get reports/);
    assert.match(message, /help: write guest_components_rest_api = "resource"/);
    await load(`${pod}${agent}`);
    const open = `${evidence}[agent]\noverridable = ["guest_components_rest_api"]\n`;
    const kernelCommandLine = `agent.guest_components_rest_api=${value}`;
    assert.match(
      await fails(`${pod}${open}`, { kernelCommandLine }),
      /\(kernel command line .*\) with \[evidence\]/,
    );
  }
  const loaded = await load(`${pod}${evidence}[agent]\nguest_components_rest_api = "resource"\n`);
  assert.deepEqual(loaded.evidence, { sources: ['configfs-tsm'], require: [], akCertificate: 'off' });
  const privileged = `[agent]\nprivileged_containers = "allow"\n`;
  assert.match(
    warnings(await load(`${pod}${evidence}${privileged}`)).join(),
    /privileged_containers = "allow" .* with \[evidence\]: a privileged container is root in the guest/,
  );
  assert.doesNotMatch(warnings(await load(`${pod}${privileged}`)).join(), /evidence/);
});
