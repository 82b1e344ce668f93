import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import {
  type Configuration,
  type DocumentReader,
  type Inputs,
  loadConfiguration,
  renderDiagnostic,
} from './index.js';

const open = '[api]\nallowed_endpoints = ["*"]\n';
const pod = '[api]\nallowed_endpoints = ["@pod"]\n';

function filesOf(files: Readonly<Record<string, string>>): DocumentReader & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    read(path) {
      asked.push(path);
      const text = files[path];
      return text === undefined
        ? { ok: false, missing: true, message: `there is no document at "${path}"`, help: 'create it' }
        : { ok: true, bytes: Buffer.from(text) };
    },
  };
}

function load(document: string | undefined, inputs: Partial<Inputs> = {}): Configuration {
  const loaded = loadConfiguration({
    flags: {},
    environment: {},
    files: filesOf(document === undefined ? {} : { '/c.toml': document }),
    ...(document === undefined ? {} : { configFlag: '/c.toml' }),
    ...inputs,
  });
  assert.ok(
    loaded.ok,
    loaded.ok ? '' : loaded.diagnostics.map((diagnostic) => diagnostic.message).join('\n'),
  );
  return loaded.configuration;
}

function fails(document: string | undefined, inputs: Partial<Inputs> = {}): string {
  const loaded = loadConfiguration({
    flags: {},
    environment: {},
    files: filesOf(document === undefined ? {} : { '/c.toml': document }),
    ...(document === undefined ? {} : { configFlag: '/c.toml' }),
    ...inputs,
  });
  assert.ok(!loaded.ok);
  assert.equal(loaded.exitCode, 1);
  return loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
}

function warnings({ warnings }: Configuration): readonly string[] {
  return warnings.map(({ message }) => message);
}

test('without a document the full API is served, with one warning', () => {
  const configuration = load(undefined, { defaultPath: '/etc/kata-agent/config.toml' });
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
      message: 'there is no configuration: the full API is served',
      help: 'write one to /etc/kata-agent/config.toml',
    },
  ]);
  assert.match(load(undefined).warnings[0]?.help ?? '', /name it with -c FILE$/);
});

test('without a document and overrides every setting has its default', () => {
  const { settings, audit, limits } = load(undefined);
  assert.equal(settings.serverAddr, 'vsock://-1:1024');
  assert.equal(settings.memAgentCompactForceTimes, 'max');
  assert.deepEqual(audit, {
    file: '/run/kata-agent/audit.log',
    onFailure: 'refuse-changes',
    maxSize: 16_777_216,
    keep: 4,
    facts: false,
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

test("the seed's sample loads as it stands, and only warns of nothing", () => {
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
  const configuration = load(seed);
  assert.deepEqual(warnings(configuration), []);
  assert.equal(configuration.settings.logLevel, 'info');
  assert.equal(configuration.restricted, false);
});

test('a document is recorded by the digest of its bytes, and the list of them by another', () => {
  const { documents, digest } = load(open);
  const sha256 = createHash('sha256').update(open).digest('hex');
  assert.deepEqual(documents, [{ file: '/c.toml', source: '-c', sha256 }]);
  assert.equal(digest, createHash('sha256').update(`${sha256}\n`).digest('hex'));
  assert.equal(load(undefined).digest, createHash('sha256').digest('hex'));
});

test('a document is read once', () => {
  const files = filesOf({ '/c.toml': open });
  load(undefined, { files, configFlag: '/c.toml', kernelLine: 'agent.config_file=/c.toml' });
  assert.deepEqual(files.asked, ['/c.toml']);
});

test('groups, * and names are expanded, each method with the entry that covers it first', () => {
  const { api, restricted } = load(
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

test('a base document without a list serves nothing and says so; a release alone restricts', () => {
  const configuration = load('[agent]\nlog_level = "info"\n');
  assert.deepEqual(warnings(configuration), [
    'this document has no list of endpoints, so NOTHING is served but Health',
  ]);
  assert.equal(configuration.restricted, true);
  assert.equal(load(open).restricted, false);
  assert.equal(load(`${open}release = "3.21"\n`).restricted, true);
  assert.equal(load('[api]\nblocked_endpoints = []').restricted, false);
});

test('the configuration is frozen through and through, maps included', () => {
  const configuration = load(pod, { kernelLine: 'agent.debug_console' });
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

test('relaxed permissions are said', () => {
  assert.match(warnings(load(open, { relaxedPermissions: true })).join(), /permissions are relaxed/);
});

test('overrides: command line, environment, kernel line, document, default', () => {
  const document = `${open}[agent]\nlog_level = "error"\n`;
  const flags = { log_level: 'trace' };
  const environment = { KATA_AGENT_LOG_LEVEL: 'debug', HOME: '/', KATA_AGENT_NOTHING: undefined };
  const kernelLine = 'agent.log=warn agent.log=critical\n';
  assert.equal(load(document).settings.logLevel, 'error');
  assert.equal(load(document, { kernelLine }).settings.logLevel, 'critical');
  assert.equal(load(document, { kernelLine, environment }).settings.logLevel, 'debug');
  const all = load(document, { kernelLine, environment, flags });
  assert.equal(all.settings.logLevel, 'trace');
  assert.deepEqual(
    all.values.find(({ key }) => key === 'log_level'),
    {
      section: 'agent',
      key: 'log_level',
      value: 'trace',
      source: 'command line --log-level',
      others: [
        {
          value: 'debug',
          source: 'environment KATA_AGENT_LOG_LEVEL',
          reason: 'weaker than command line --log-level',
        },
        {
          value: 'critical',
          source: 'kernel line agent.log',
          reason: 'weaker than command line --log-level',
        },
        { value: 'warn', source: 'kernel line agent.log', reason: 'weaker than command line --log-level' },
        { value: 'error', source: '/c.toml:4', reason: 'overridden by command line --log-level' },
      ],
    },
  );
  assert.deepEqual(warnings(all), []);
});

test('a value of a document has its line as source', () => {
  const { values } = load(`${open}[limits]\nframe_timeout = "2s"\n`);
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

test('bare words, quoted values, and the two ways to choose cgroup v2', () => {
  assert.equal(load(undefined, { kernelLine: 'agent.debug_console' }).settings.debugConsole, true);
  assert.equal(load(undefined, { kernelLine: 'agent.trace=0' }).settings.tracing, false);
  assert.equal(load(undefined, { kernelLine: 'agent.no_proxy="a, b"' }).settings.noProxy, 'a, b');
  for (const [kernelLine, unified] of [
    ['cgroup_no_v1=all', true],
    ['cgroup_no_v1=memory', false],
    ['cgroup_no_v1', false],
    ['systemd.unified_cgroup_hierarchy', true],
    ['systemd.unified_cgroup_hierarchy=1', true],
    ['cgroup_no_v1=all systemd.unified_cgroup_hierarchy=0', true],
    ['systemd.unified_cgroup_hierarchy=0', false],
    ['-- systemd.unified_cgroup_hierarchy=1', false],
  ] as const) {
    const configuration = load(undefined, { kernelLine });
    assert.equal(configuration.settings.unifiedCgroupHierarchy, unified, kernelLine);
    assert.equal(configuration.warnings.length, 1, kernelLine);
  }
});

test('an unknown word or variable is a warning with the nearest known one', () => {
  const configuration = load(open, {
    kernelLine: 'agent.debug_consol agent.zzzzzzzzzz=1 quiet X=y',
    environment: { KATA_AGENT_LOG_LEVLE: 'debug' },
  });
  assert.deepEqual(
    configuration.warnings.map(({ message, help }) => [message, help]),
    [
      [
        'environment KATA_AGENT_LOG_LEVLE is not a setting of this agent: it is ignored',
        'did you mean "KATA_AGENT_LOG_LEVEL"?',
      ],
      [
        '"agent.debug_consol" is not a setting of this agent: it is ignored',
        'did you mean "agent.debug_console"?',
      ],
      [
        '"agent.zzzzzzzzzz" is not a setting of this agent: it is ignored',
        'docs/reference/settings.md lists the names',
      ],
    ],
  );
});

test('a bad value of a known override is fatal wherever it comes from, even if a stronger one wins', () => {
  assert.equal(
    fails(open, { kernelLine: 'quiet agent.hotplug_timeout=0', flags: { hotplug_timeout: '5' } }),
    `warning: command line --hotplug-timeout: hotplug_timeout is not built yet: setting it changes nothing
help: docs/reference/differences.md lists what this agent does not do yet
/proc/cmdline:1:7: kernel line agent.hotplug_timeout: hotplug_timeout must be a number of seconds from 1 to 2147483, not "0"
  quiet agent.hotplug_timeout=0
        ^^^^^^^^^^^^^^^^^^^^^^^
help: for example: 10`,
  );
  assert.match(
    fails(open, { environment: { KATA_AGENT_LOG_LEVEL: 'debgu' } }),
    /^error: environment KATA_AGENT_LOG_LEVEL: log_level must be .*, not "debgu"\nhelp: did you mean "debug"\?$/,
  );
  assert.match(
    fails(open, { kernelLine: 'agent.log' }),
    /log_level must be given as a value of .*, not given without a value/,
  );
  assert.match(fails(open, { kernelLine: 'agent.log=' }), /not ""/);
  assert.match(
    fails(open, { kernelLine: 'systemd.unified_cgroup_hierarchy=a' }),
    /must be true or false, not "a"/,
  );
  assert.match(
    fails(open, { flags: { forward: 'x' } }),
    /^error: command line --forward: forward is not built yet/,
  );
});

test('a flag that is no setting is an error', () => {
  assert.equal(
    fails(open, { flags: { log_levle: 'debug', zzzzzzzz: '1' } }),
    `error: "log_levle" is not a setting that the command line can override
help: did you mean "log_level"?
error: "zzzzzzzz" is not a setting that the command line can override
help: docs/reference/settings.md lists the names`,
  );
  assert.match(fails(open, { flags: { lock: 'false' } }), /"lock" is not a setting/);
});

test('under lock no override of any kind changes a value; each is warned of and recorded', () => {
  const configuration = load(`${open}[agent]\nlock = true\nlog_level = "warn"\n`, {
    flags: { log_level: 'trace' },
    environment: { KATA_AGENT_CONTAINER_PIPE_SIZE: '4096' },
    kernelLine: 'agent.debug_console agent.log=not-even-a-level cgroup_no_v1=all',
  });
  const { settings, ignoredOverrides } = configuration;
  assert.equal(settings.logLevel, 'warn');
  assert.equal(settings.containerPipeSize, 0);
  assert.equal(settings.debugConsole, false);
  assert.equal(settings.unifiedCgroupHierarchy, false);
  const reason = 'locked by /c.toml:4';
  assert.deepEqual(ignoredOverrides, [
    { key: 'log_level', value: 'trace', source: 'command line --log-level', reason },
    { key: 'log_level', value: 'not-even-a-level', source: 'kernel line agent.log', reason },
    { key: 'debug_console', value: '', source: 'kernel line agent.debug_console', reason },
    {
      key: 'container_pipe_size',
      value: '4096',
      source: 'environment KATA_AGENT_CONTAINER_PIPE_SIZE',
      reason,
    },
    { key: 'unified_cgroup_hierarchy', value: 'true', source: 'kernel line cgroup_no_v1', reason },
  ]);
  assert.equal(configuration.warnings.length, 5);
  const [first] = configuration.warnings;
  assert.equal(
    first === undefined ? '' : renderDiagnostic(first),
    `warning: command line --log-level: ignored, and log_level stays as it is: locked by /c.toml:4
help: to let it through, the document needs overridable = ["log_level"], and no lock`,
  );
  assert.deepEqual(configuration.values.find(({ key }) => key === 'debug_console')?.others, [
    { value: true, source: 'kernel line agent.debug_console', reason },
  ]);
});

test('overridable names the only keys that can be overridden, and lock wins over it', () => {
  const list = 'overridable = ["log_level", "debug_console"]\n';
  const inputs = { kernelLine: 'agent.log=debug agent.debug_console agent.container_pipe_size=4096' };
  const named = load(`${pod}[agent]\n${list}`, inputs);
  assert.deepEqual([named.settings.logLevel, named.settings.debugConsole], ['debug', true]);
  assert.equal(named.settings.containerPipeSize, 0);
  assert.deepEqual(
    named.ignoredOverrides.map(({ key, reason }) => [key, reason]),
    [['container_pipe_size', 'not in overridable (/c.toml:4)']],
  );
  const locked = load(`${pod}[agent]\nlock = true\n${list}`, inputs);
  assert.equal(locked.settings.logLevel, 'info');
  assert.equal(locked.ignoredOverrides.length, 3);
  assert.ok(warnings(locked).includes('overridable does nothing beside lock = true: lock wins'));
  assert.equal(load(`${pod}[agent]\nlock = false\n`, inputs).settings.logLevel, 'debug');
});

test('what opens the guest cannot be overridden once the API is restricted; the document itself can set it', () => {
  const inputs = {
    kernelLine: 'agent.debug_console agent.passfd_listener_port=1027 agent.log=debug',
    flags: { oci_runtime: '/tmp/evil', hooks: 'allow' },
  };
  const closed = load(pod, inputs).settings;
  assert.equal(closed.debugConsole, false);
  assert.equal(closed.passfdListenerPort, 0);
  assert.equal(closed.ociRuntime, undefined);
  assert.equal(closed.hooks, 'refuse');
  assert.equal(closed.logLevel, 'debug');
  const served = load(open, inputs).settings;
  assert.deepEqual([served.debugConsole, served.ociRuntime, served.hooks], [true, '/tmp/evil', 'allow']);
  assert.equal(load(`${pod}[agent]\nhooks = "allow"\n`).settings.hooks, 'allow');
});

test('delivery on the kernel line is not built yet, and fatal', () => {
  assert.equal(
    fails(undefined, { kernelLine: 'agent.config_b64=AAAA agent.config_digest=00' }).split('\n')[0],
    'warning: there is no configuration: the full API is served',
  );
  assert.match(
    fails(undefined, { kernelLine: 'agent.config_b64=AAAA' }),
    /agent\.config_b64 is not built yet/,
  );
  assert.match(
    fails(open, { kernelLine: 'agent.config_digest=AAAA' }),
    /agent\.config_digest is not built yet/,
  );
});

test('a document that is wrong is refused with its diagnostics', () => {
  assert.match(fails('[api]\nallowed_endpoints = ["Foo"]'), /^\/c\.toml:2:22: unknown endpoint "Foo"/);
});
