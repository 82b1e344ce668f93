import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderDiagnostic } from './index.js';
import { open, pod, load, fails, warnings } from './loading.test.fixture.js';

test('precedence: command line, environment, kernel command line, document, default', async () => {
  const document = `${open}[agent]\nlog_level = "error"\n`;
  const flags = { log_level: 'trace' };
  const environment = { KATA_AGENT_LOG_LEVEL: 'debug', HOME: '/', KATA_AGENT_NOTHING: undefined };
  const kernelCommandLine = 'agent.log=warn agent.log=critical\n';
  assert.equal((await load(document)).settings.logLevel, 'error');
  assert.equal((await load(document, { kernelCommandLine })).settings.logLevel, 'critical');
  assert.equal((await load(document, { kernelCommandLine, environment })).settings.logLevel, 'debug');
  const all = await load(document, { kernelCommandLine, environment, flags });
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
          source: 'kernel command line agent.log',
          reason: 'weaker than command line --log-level',
        },
        {
          value: 'warn',
          source: 'kernel command line agent.log',
          reason: 'weaker than command line --log-level',
        },
        { value: 'error', source: '/c.toml:4', reason: 'overridden by command line --log-level' },
      ],
    },
  );
  assert.deepEqual(warnings(all), []);
});

test('words without a value, quoted values, and the two ways to choose cgroup v2', async () => {
  assert.equal(
    (await load(undefined, { kernelCommandLine: 'agent.debug_console' })).settings.debugConsole,
    true,
  );
  assert.equal((await load(undefined, { kernelCommandLine: 'agent.trace=0' })).settings.tracing, false);
  assert.equal(
    (await load(undefined, { kernelCommandLine: 'agent.no_proxy="a, b"' })).settings.noProxy,
    'a, b',
  );
  for (const [kernelCommandLine, unified] of [
    ['cgroup_no_v1=all', true],
    ['cgroup_no_v1=memory', false],
    ['cgroup_no_v1', false],
    ['systemd.unified_cgroup_hierarchy', true],
    ['systemd.unified_cgroup_hierarchy=1', true],
    ['cgroup_no_v1=all systemd.unified_cgroup_hierarchy=0', true],
    ['systemd.unified_cgroup_hierarchy=0', false],
    ['-- systemd.unified_cgroup_hierarchy=1', false],
  ] as const) {
    const configuration = await load(undefined, { kernelCommandLine });
    assert.equal(configuration.settings.unifiedCgroupHierarchy, unified, kernelCommandLine);
    assert.equal(configuration.warnings.length, 1, kernelCommandLine);
  }
});

test('a value that Kata’s agent ignores or reads as false is a warning, and not the end of the start', async () => {
  const timeouts = ['hotplug', 'cdh_api', 'image_pull', 'cdi', 'launch_process'].map(
    (name) => `agent.${name}_timeout=0`,
  );
  const ports = ['log_vport', 'debug_console_vport', 'passfd_listener_port'].map(
    (name) => `agent.${name}=-1`,
  );
  const { settings: defaults } = await load(undefined, {});
  for (const word of [
    ...timeouts,
    ...ports,
    'agent.trace=static',
    'agent.trace=yes',
    'agent.visible_cdi_devices',
  ]) {
    const { settings, warnings: all } = await load(undefined, { kernelCommandLine: word });
    assert.deepEqual(settings, defaults, word);
    assert.deepEqual(
      all
        .filter(({ code }) => code === 'KA1505')
        .map(({ message }) => message.includes("as by Kata's agent")),
      [true],
      word,
    );
  }
});

test('what opens the guest with Kata’s agent opens it here, and nothing else', async () => {
  for (const value of ['1', 'true', 'yes', 'on', 'anything']) {
    const { settings } = await load(undefined, {
      kernelCommandLine: `agent.debug_console=${value} agent.devmode=${value}`,
    });
    assert.deepEqual([settings.debugConsole, settings.devMode], [false, false], value);
  }
  const { settings } = await load(undefined, {
    kernelCommandLine: 'agent.debug_console agent.devmode agent.trace',
  });
  assert.deepEqual([settings.debugConsole, settings.devMode, settings.tracing], [true, true, true]);
  for (const [value, integrity] of [
    ['true', true],
    ['2', true],
    ['yes', false],
    ['on', false],
    ['0', false],
    ['false', false],
  ] as const) {
    const kernelCommandLine = `agent.secure_storage_integrity=${value}`;
    assert.equal(
      (await load(undefined, { kernelCommandLine })).settings.secureStorageIntegrity,
      integrity,
      value,
    );
  }
  const document = '[agent]\ndebug_console = true\n[api]\nblocked_endpoints = []\n';
  assert.equal(
    (await load(document, { kernelCommandLine: 'agent.debug_console=0' })).settings.debugConsole,
    false,
  );
});

test('a word of the guest components is known', async () => {
  const kernelCommandLine = 'agent.aa_kbc_params=cc_kbc::https://kbs.example';
  assert.deepEqual(warnings(await load(open, { kernelCommandLine })), []);
});

test('an unknown word or variable is a warning with the nearest known one', async () => {
  const configuration = await load(open, {
    kernelCommandLine: 'agent.debug_consol agent.zzzzzzzzzz=1 quiet X=y',
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

test('an invalid value of a known override is fatal wherever it comes from, even if a stronger one wins', async () => {
  assert.equal(
    await fails(open, {
      kernelCommandLine: 'quiet agent.hotplug_timeout=-1',
      flags: { hotplug_timeout: '5' },
    }),
    `/proc/cmdline:1:7: error[KA1102]: kernel command line agent.hotplug_timeout: hotplug_timeout must be a number of seconds from 1 to 2147483, not "-1"
  quiet agent.hotplug_timeout=-1
        ^^^^^^^^^^^^^^^^^^^^^^^^
help: for example: 10`,
  );
  assert.match(
    await fails(open, { environment: { KATA_AGENT_LOG_LEVEL: 'debgu' } }),
    /^error\[KA1102\]: environment KATA_AGENT_LOG_LEVEL: log_level must be .*, not "debgu"\nhelp: did you mean "debug"\?$/,
  );
  assert.match(
    await fails(open, { kernelCommandLine: 'agent.log' }),
    /log_level must be given as a value of .*, not given without a value/,
  );
  assert.match(await fails(open, { kernelCommandLine: 'agent.log=' }), /not ""/);
  assert.match(
    await fails(open, { kernelCommandLine: 'systemd.unified_cgroup_hierarchy=a' }),
    /must be true or false, not "a"/,
  );
  assert.match(
    await fails(open, { flags: { forward: 'x' } }),
    /^error\[KA1102\]: command line --forward: forward must be the address of a unix socket with a path/,
  );
});

test('a flag without a setting is an error', async () => {
  assert.equal(
    await fails(open, { flags: { log_levle: 'debug', zzzzzzzz: '1' } }),
    `error[KA1501]: "log_levle" is not a setting that the command line can override
help: did you mean "log_level"?
error[KA1501]: "zzzzzzzz" is not a setting that the command line can override
help: docs/reference/settings.md lists the names`,
  );
  assert.match(await fails(open, { flags: { lock: 'false' } }), /"lock" is not a setting/);
});

test('under lock no override changes a value; each gives a warning and is recorded', async () => {
  const configuration = await load(`${open}[agent]\nlock = true\nlog_level = "warn"\n`, {
    flags: { log_level: 'trace' },
    environment: { KATA_AGENT_CONTAINER_PIPE_SIZE: '4096' },
    kernelCommandLine: 'agent.debug_console agent.log=not-even-a-level cgroup_no_v1=all',
  });
  const { settings, ignoredOverrides } = configuration;
  assert.equal(settings.logLevel, 'warn');
  assert.equal(settings.containerPipeSize, 0);
  assert.equal(settings.debugConsole, false);
  assert.equal(settings.unifiedCgroupHierarchy, false);
  const reason = 'locked by /c.toml:4';
  assert.deepEqual(ignoredOverrides, [
    { key: 'log_level', value: 'trace', source: 'command line --log-level', reason },
    { key: 'log_level', value: 'not-even-a-level', source: 'kernel command line agent.log', reason },
    { key: 'debug_console', value: '', source: 'kernel command line agent.debug_console', reason },
    {
      key: 'container_pipe_size',
      value: '4096',
      source: 'environment KATA_AGENT_CONTAINER_PIPE_SIZE',
      reason,
    },
    { key: 'unified_cgroup_hierarchy', value: 'true', source: 'kernel command line cgroup_no_v1', reason },
  ]);
  assert.equal(configuration.warnings.length, 5);
  const [first] = configuration.warnings;
  assert.equal(
    first === undefined ? '' : renderDiagnostic(first),
    `warning[KA1502]: command line --log-level: ignored, and log_level stays as it is: locked by /c.toml:4
help: to allow it, the document needs overridable = ["log_level"], and no lock`,
  );
  assert.deepEqual(configuration.values.find(({ key }) => key === 'debug_console')?.others, [
    { value: true, source: 'kernel command line agent.debug_console', reason },
  ]);
});

test('overridable lists the only keys that can be overridden, and lock takes precedence', async () => {
  const list = 'overridable = ["log_level", "debug_console"]\n';
  const inputs = { kernelCommandLine: 'agent.log=debug agent.debug_console agent.container_pipe_size=4096' };
  const named = await load(`${pod}[agent]\n${list}`, inputs);
  assert.deepEqual([named.settings.logLevel, named.settings.debugConsole], ['debug', true]);
  assert.equal(named.settings.containerPipeSize, 0);
  assert.deepEqual(
    named.ignoredOverrides.map(({ key, reason }) => [key, reason]),
    [['container_pipe_size', 'not in overridable (/c.toml:4)']],
  );
  const locked = await load(`${pod}[agent]\nlock = true\n${list}`, inputs);
  assert.equal(locked.settings.logLevel, 'info');
  assert.equal(locked.ignoredOverrides.length, 3);
  assert.ok(warnings(locked).includes('overridable has no effect beside lock = true'));
  assert.equal((await load(`${pod}[agent]\nlock = false\n`, inputs)).settings.logLevel, 'debug');
});

test('settings that open the guest cannot be overridden once the API is restricted; the document can set them', async () => {
  const inputs = {
    kernelCommandLine: 'agent.debug_console agent.passfd_listener_port=1027 agent.log=debug',
    flags: { oci_runtime: '/tmp/evil', hooks: 'allow' },
  };
  const closed = (await load(pod, inputs)).settings;
  assert.equal(closed.debugConsole, false);
  assert.equal(closed.passfdListenerPort, 0);
  assert.equal(closed.ociRuntime, undefined);
  assert.equal(closed.hooks, 'refuse');
  assert.equal(closed.logLevel, 'debug');
  const served = (await load(open, inputs)).settings;
  assert.deepEqual([served.debugConsole, served.ociRuntime, served.hooks], [true, '/tmp/evil', 'allow']);
  assert.equal((await load(`${pod}[agent]\nhooks = "allow"\n`)).settings.hooks, 'allow');
});

test('the kernel command line cannot move the API of a restricted guest; the command line of its image can', async () => {
  const kernelCommandLine = 'agent.server_addr=unix:///run/kata-containers/shared/a.sock';
  const closed = await load(pod, { kernelCommandLine });
  assert.equal(closed.settings.serverAddr, 'vsock://-1:1024');
  assert.match(closed.ignoredOverrides[0]?.reason ?? '', /^it moves the API/);
  const flags = { server_addr: 'unix:///run/a.sock' };
  const moved = await load(pod, { kernelCommandLine, flags });
  assert.equal(moved.settings.serverAddr, 'unix:///run/a.sock');
  assert.deepEqual(
    moved.ignoredOverrides.map(({ source }) => source),
    ['kernel command line agent.server_addr'],
  );
  const named = `${pod}[agent]\noverridable = ["server_addr"]\n`;
  assert.match((await load(named, { kernelCommandLine })).settings.serverAddr, /^unix:/);
  assert.match((await load(open, { kernelCommandLine })).settings.serverAddr, /^unix:/);
});

test('with a listener an override of server_addr has no effect, even if listed in overridable', async () => {
  const document = `${open}[agent]\noverridable = ["server_addr"]\n[[listener]]\nname = "host"\naddress = "vsock://-1:1"\n`;
  for (const inputs of [
    { flags: { server_addr: 'unix:///run/a.sock' } },
    { environment: { KATA_AGENT_SERVER_ADDR: 'unix:///run/a.sock' } },
    { kernelCommandLine: 'agent.server_addr=unix:///run/a.sock' },
  ]) {
    const { listeners, ignoredOverrides } = await load(document, inputs);
    assert.deepEqual(
      listeners.map(({ name, address }) => [name, address]),
      [['host', 'vsock://-1:1']],
    );
    assert.equal(ignoredOverrides[0]?.reason, '[[listener]] (/c.toml:6) sets the address of the API');
  }
});

test('a rule or a listener alone restricts: settings that open the guest are not overridable then', async () => {
  const kernelCommandLine = 'agent.debug_console';
  for (const more of [
    '[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = "true"\nenforcement = "audit"\n',
    '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n',
  ]) {
    const { settings, restricted } = await load(open + more, { kernelCommandLine });
    assert.deepEqual([settings.debugConsole, restricted], [false, true]);
  }
});
