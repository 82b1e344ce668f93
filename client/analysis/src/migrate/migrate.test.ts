import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import {
  type Configuration,
  loadConfiguration,
  methodsOfRequest,
  renderDiagnostic,
} from '@kata-agent/config';
import { compileGate } from '@kata-agent/gate';
import * as fc from 'fast-check';
import { kataSettings } from './kata-file.js';
import { migrate } from './migrate.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Outcome {
  readonly text: string;
  readonly notes: readonly string[];
  readonly configuration: Configuration;
  readonly served: readonly MethodName[];
}

/** Migrates files and loads the result. */
async function migrated(files: Readonly<Record<string, string>>): Promise<Outcome> {
  const result = migrate(Object.entries(files).map(([file, text]) => ({ file, bytes: bytes(text) })));
  assert.ok(result.ok, JSON.stringify(result));
  const loaded = await loadConfiguration({
    flags: {},
    environment: {},
    configFlag: 'new.toml',
    files: { read: () => ({ ok: true, bytes: bytes(result.text) }) },
    rules: () => Promise.reject(new Error('a migrated configuration has no rules')),
    delivery: [],
    hostData: () => ({ ok: false, message: 'none', help: 'none' }),
  });
  assert.ok(loaded.ok, `${JSON.stringify(loaded)}\n${result.text}`);
  const [listener] = loaded.configuration.listeners;
  const name = listener?.name ?? 'server_addr';
  return {
    text: result.text,
    notes: result.notes.map((note) => renderDiagnostic(note)),
    configuration: loaded.configuration,
    served: compileGate(loaded.configuration, { listeners: [name] }).served(name),
  };
}

function refused(files: Readonly<Record<string, string>>): string {
  const result = migrate(Object.entries(files).map(([file, text]) => ({ file, bytes: bytes(text) })));
  assert.ok(!result.ok);
  return result.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
}

const kataFile = `
dev_mode = true
server_addr = 'vsock://8:2048'
log_level = "warning"
hotplug_timeout = { secs = 10, nanos = 0 }
container_pipe_size = 2097152
https_proxy = ""
mem_agent_enable = true
mem_agent_compact_force_times = 3

[cdi_timeout]
secs = 30
nanos = 0
`;

test('a flat file of Kata’s becomes [agent], and everything is still served', async () => {
  const { text, notes, configuration, served } = await migrated({ 'agent.toml': kataFile });
  assert.equal(
    text,
    `# Made from agent.toml by kata-agent-ctl config migrate.
# Everything was converted.

version = 1

[agent]
dev_mode = true
server_addr = "vsock://8:2048"
log_level = "warn"
hotplug_timeout = 10
container_pipe_size = "2MiB"
mem_agent_enable = true
mem_agent_compact_force_times = 3
cdi_timeout = 30

[api]
# The old files did not restrict methods: all methods of this release of Kata are served.
release = "4.1"
allowed_endpoints = ["*"]
`,
  );
  assert.equal(notes.length, 1, 'everything was converted, with a warning that it may be too much');
  assert.match(notes[0] ?? '', /EVERYTHING is served\nhelp: .*default-policy\.rego/);
  assert.equal(configuration.settings.serverAddr, 'vsock://8:2048');
  assert.equal(configuration.settings.cdiTimeout, 30);
  assert.deepEqual(served, methodNames);
});

test('losses are reported with their position, also at the top of the result', async () => {
  const { text, notes, configuration } = await migrated({
    'agent.toml':
      'log_level = "loud"\nhotplug_timeout = { secs = 2, nanos = 5 }\ncolour = "red"\nlock = true\nlog_vport = -1\n',
  });
  assert.deepEqual(
    notes.slice(0, -1).map((note) => note.split('\n')[0]),
    [
      'agent.toml:1:13: warning[KA1902]: log_level must be "trace", "debug", "info", "warn", "error" or "critical", not the text "loud"',
      'agent.toml:2:1: warning[KA1902]: times are whole seconds',
      "agent.toml:3:1: warning[KA1902]: Kata's agent has no setting colour, and ignored it",
      "agent.toml:4:1: warning[KA1902]: Kata's agent has no setting lock, and ignored it",
      'agent.toml:5:13: warning[KA1902]: log_vport must be a vsock port from 0 to 4294967294, not the integer -1',
    ],
  );
  for (const note of notes.slice(0, -1)) assert.ok(text.includes(`# - ${note.split('\n')[0]}\n`), note);
  assert.match(notes.at(-1) ?? '', /EVERYTHING is served/);
  assert.equal(configuration.settings.logLevel, 'info');
  assert.equal(configuration.settings.hotplugTimeout, 3);
});

test('the keys are those of Kata’s agent', () => {
  const builder =
    'debug_console dev_mode log_level hotplug_timeout cdh_api_timeout image_pull_timeout cdi_timeout ' +
    'launch_process_timeout visible_cdi_devices debug_console_vport log_vport container_pipe_size server_addr ' +
    'passfd_listener_port unified_cgroup_hierarchy tracing https_proxy no_proxy guest_components_rest_api ' +
    'guest_components_procs secure_storage_integrity policy_file mem_agent_enable mem_agent_memcg_disable ' +
    'mem_agent_memcg_swap mem_agent_memcg_swappiness_max mem_agent_memcg_period_secs ' +
    'mem_agent_memcg_period_psi_percent_limit mem_agent_memcg_eviction_psi_percent_limit ' +
    'mem_agent_memcg_eviction_run_aging_count_min mem_agent_compact_disable mem_agent_compact_period_secs ' +
    'mem_agent_compact_period_psi_percent_limit mem_agent_compact_psi_percent_limit mem_agent_compact_sec_max ' +
    'mem_agent_compact_order mem_agent_compact_threshold mem_agent_compact_force_times';
  assert.deepEqual([...kataSettings.keys()].sort(), builder.split(' ').sort());
});

test('the former [endpoints] lists requests; unknown ones stay denied, with a warning', async () => {
  const { text, notes, served } = await migrated({
    'agent.toml': `
[endpoints]
allowed = [
  "CreateSandboxRequest",
  "ReadStreamRequest",
  "GuestDetailsRequest",
  "ExecProcess",
  "StartTracingRequest",
  "ReedStreamRequest",
  5,
]
`,
  });
  assert.deepEqual([...served].sort(), ['CreateSandbox', 'GetGuestDetails', 'ReadStderr', 'ReadStdout']);
  assert.match(text, /"ReadStdout", {7}# ReadStreamRequest, agent\.toml:5\n/);
  assert.deepEqual(
    notes.map((note) => note.split('help: ')[1]),
    [
      'it allowed nothing, since entries are names of requests; to serve the method, add "ExecProcess" by hand',
      'ignored: Kata removed this request',
      'ignored: it allowed nothing',
      'ignored',
    ],
  );
  const nothing = await migrated({ 'agent.toml': '[endpoints]\nallow = ["CreateSandboxRequest"]\n' });
  assert.deepEqual(nothing.served, []);
  assert.equal(nothing.notes.length, 2);
});

const allowAllExceptExec = `# Copyright (c) 2023 Microsoft Corporation
package agent_policy

${[...methodsOfRequest.keys()]
  .filter((request) => request !== 'ExecProcessRequest')
  .map((request) => `default ${request} := true`)
  .join('\n')}
default PullImageRequest := true

default ExecProcessRequest := false
`;

test('a list of defaults becomes a list of names', async () => {
  const { served, notes } = await migrated({ 'policy.rego': allowAllExceptExec });
  assert.deepEqual(
    served,
    methodNames.filter((name) => name !== 'ExecProcess'),
  );
  assert.deepEqual(notes.length, 1);
  assert.match(notes[0] ?? '', /"PullImageRequest" is not a request.*Kata removed this request/s);
});

test('rules of a policy are reported, and the methods that they decide are not served', async () => {
  const { served, notes } = await migrated({
    'policy.rego': `package agent_policy
import future.keywords.in
default CreateSandboxRequest := true
default ExecProcessRequest := false
default CopyFileRequest := true

CopyFileRequest := false if {
  startswith(input.path, "/etc")  # "#" { WaitProcessRequest }
}
ExecProcessRequest if { input.process.Args[0] in ["/bin/true"] }
default WaitProcessRequest := true
default StartContainerRequest := true
default StartContainerRequest := false
`,
  });
  assert.deepEqual(served, ['CreateSandbox']);
  assert.deepEqual(
    notes.map((note) => note.split('\n')[0]),
    [
      'policy.rego:2:1: warning[KA1904]: line 2 is not a list of defaults, and cannot be converted',
      'policy.rego:7:1: warning[KA1904]: lines 7 to 10 are not a list of defaults, and cannot be converted',
    ],
  );
  assert.match(notes[1] ?? '', /not served because of it: CopyFile, WaitProcess, ExecProcess; /);
});

test('a string over several lines cannot hide a default', () => {
  const text = refused({ 'p.rego': 'package agent_policy\nx := `\ndefault ExecProcessRequest := true\n`\n' });
  assert.match(text, /^p\.rego:2:1: error\[KA1904\]: strings over several lines are not supported/);
});

test('a file and its policy become one configuration; both must allow a method', async () => {
  const file = 'policy_file = "/etc/kata-opa/default-policy.rego"\nlog_level = "debug"\n';
  const alone = await migrated({ 'agent.toml': file });
  assert.deepEqual(alone.served, []);
  assert.match(alone.notes[0] ?? '', /a policy decided.*config migrate agent\.toml POLICY\.rego/s);
  const both = await migrated({ 'agent.toml': file, 'policy.rego': allowAllExceptExec });
  assert.equal(both.served.length, methodNames.length - 1);
  assert.equal(both.configuration.settings.logLevel, 'debug');
  const three = await migrated({
    'agent.toml': '[endpoints]\nallowed = ["ExecProcessRequest", "WaitProcessRequest"]\n',
    'policy.rego': allowAllExceptExec,
  });
  assert.deepEqual(three.served, ['WaitProcess']);
});

test('any other file is rejected with its position', () => {
  assert.match(
    refused({ 'a.toml': '[api]\nallowed_endpoints = []\n' }),
    /^a\.toml:1:2: error\[KA1901\]: this is already a configuration/,
  );
  assert.match(refused({ 'a.toml': 'log_level = debug\n' }), /^a\.toml:1:13: /);
  assert.match(refused({ 'a.toml': '\ufeffx = 1' }), /byte order mark/);
  assert.match(
    refused({ a: 'tracing = true\n', b: 'tracing = false\n' }),
    /^b:1:1: error\[KA1907\]: tracing is set in two/,
  );
});

test('a file name cannot inject lines', async () => {
  const { text } = await migrated({ 'a\n[api]\n#.toml': '[endpoints]\nallowed = ["WaitProcessRequest"]\n' });
  assert.equal(text.split('[api]').length, 4);
});

test('property: a migrated policy serves what its defaults allow, and never more', async () => {
  const request = fc.constantFrom(...methodsOfRequest.keys());
  const line = fc.oneof(
    fc.tuple(request, fc.boolean()).map(([name, value]) => `default ${name} := ${value}`),
    request.map((name) => `${name} { input.x == 1 }`),
    fc.constantFrom('', '# default ExecProcessRequest := true', 'package agent_policy', 'x := 1'),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 30 }), async (lines) => {
      const text = `package agent_policy\n${lines.join('\n')}\n`;
      const { served } = await migrated({ 'p.rego': text });
      for (const [name, methods] of methodsOfRequest) {
        const line = lines.filter((line) => new RegExp(`\\b${name}\\b`).test(line) && !line.startsWith('#'));
        const allowed = line.length > 0 && line.every((line) => line === `default ${name} := true`);
        for (const method of methods) assert.equal(served.includes(method), allowed, `${method}\n${text}`);
      }
    }),
    { numRuns: runs(60) },
  );
});
