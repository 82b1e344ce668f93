import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Configuration,
  type Explanation,
  explainConfiguration,
  renderExplanation,
  settings,
} from '../index.js';
import { dropIns, load as loadDocument, open } from '../loading.test.fixture.js';

async function load(document: string | undefined, kernelCommandLine = ''): Promise<Configuration> {
  return loadDocument(document, { kernelCommandLine });
}

const document =
  '[api]\nrelease = "3.21"\nallowed_endpoints = ["ExecProcess", "@exec", "@logs", "UpdateRoutes"]\nblocked_endpoints = ["@copy"]\n[agent]\nlog_level = "warn"\n';

test('an explanation covers every setting and endpoint and can be serialized as JSON', async () => {
  const explanation = explainConfiguration(await load(document, 'agent.log=debug agent.debug_console'));
  assert.deepEqual(JSON.parse(JSON.stringify(explanation)).endpoints, explanation.endpoints);
  assert.equal(explanation.settings.length, settings.length);
  assert.equal(explanation.endpoints.length, 42);
  assert.deepEqual(explanation.expansions, [
    { list: 'allowed_endpoints', entry: '@logs', source: '/c.toml:3', methods: ['ReadStdout', 'ReadStderr'] },
    { list: 'blocked_endpoints', entry: '@copy', source: '/c.toml:4', methods: ['CopyFile'] },
  ]);
  const endpoint = (name: string): unknown => explanation.endpoints.find(({ method }) => method === name);
  assert.deepEqual(endpoint('ReadStdout'), {
    listener: 'server_addr',
    method: 'ReadStdout',
    served: true,
    reason: 'in allowed_endpoints as @logs (/c.toml:3)',
    findings: [{ source: '/c.toml:3', text: 'allowed_endpoints has "@logs"', allows: true, decides: true }],
    rules: [],
  });
  assert.deepEqual(endpoint('CopyFile'), {
    listener: 'server_addr',
    method: 'CopyFile',
    served: false,
    code: 'KA3002',
    reason: 'in blocked_endpoints as @copy (/c.toml:4)',
    findings: [
      { source: '/c.toml:4', text: 'blocked_endpoints has "@copy"', allows: false, decides: true },
      { source: '/c.toml:3', text: 'allowed_endpoints does not have it', allows: false, decides: false },
    ],
    rules: [],
  });
});

test('a method left out of the build is not served, whatever the lists say', async () => {
  const { endpoints } = explainConfiguration(await load(document), new Set(['ReadStderr']));
  assert.deepEqual(
    endpoints.filter(({ served }) => served).map(({ method }) => method),
    ['ReadStderr'],
  );
  const read = endpoints.find(({ method }) => method === 'ReadStdout');
  assert.equal(read?.reason, 'its handler was left out of this build');
  assert.deepEqual(read.findings, [
    { source: 'this build', text: 'its handler was left out', allows: false, decides: true },
    { source: '/c.toml:3', text: 'allowed_endpoints has "@logs"', allows: true, decides: false },
  ]);
});

test('the text shows documents, values with their sources, other values, groups, endpoints and ignored overrides', async () => {
  const text = renderExplanation(
    explainConfiguration(
      await load(document, 'agent.log=debug agent.debug_console agent.dev_mode=x agent.devmode'),
    ),
  );
  const has = (line: string): void => assert.ok(text.split('\n').includes(line), `${line}\n\n${text}`);
  has('document /c.toml (-c)');
  has('  log_level = "debug"                               # kernel command line agent.log');
  has('    /c.toml:6 has warn: overridden by kernel command line agent.log');
  has('  oci_runtime = (not set)                           # default');
  has('@logs in allowed_endpoints (/c.toml:3)');
  has('  ReadStdout, ReadStderr');
  has('endpoints: 4 of 42 served');
  assert.match(text, /\nlistener server_addr at vsock:\/\/-1:1024 for host\nendpoints: 4 of 42 served\n/);
  assert.match(text, /\n {2}ReadStdout +served {6}in allowed_endpoints as @logs \(\/c\.toml:3\)\n/);
  has('    /c.toml:3: allowed_endpoints does not have it');
  assert.match(text, /\nignored overrides\n {2}kernel command line agent\.debug_console: it opens the guest/);
  assert.match(text, /\n {2}kernel command line agent\.devmode: it opens/);
});

test('without a document the text says that everything is served', async () => {
  const text = renderExplanation(explainConfiguration(await load(undefined)));
  assert.match(text, /^no document: the full API is served\nconfiguration digest e3b0c442/);
  assert.match(text, /\nendpoints: 42 of 42 served\n/);
  assert.doesNotMatch(text, /ignored overrides/);
});

test('the value of a removed setting is shown as not set', async () => {
  const configuration = await load(undefined);
  const stray = { section: 'agent', key: 'gone', value: 1, source: 'default', others: [] } as const;
  const explanation: Explanation = explainConfiguration({ ...configuration, values: [stray] });
  assert.equal(explanation.settings[0]?.written, '(not set)');
});

test('with several documents each part is shown: settings, listener lists, releases, rules', async () => {
  const base = `${open}[limits]\nconnections = 10\n[delivery]\naccept = ["drop_ins"]\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nallowed_endpoints = ["@pod", "ExecProcess"]\n`;
  const later = `[api]\nrelease = "2.0.0"\n[limits]\nconnections = 5\n[[listener]]\nname = "host"\nblocked_endpoints = ["@exec"]\n[[api.rule]]\nname = "small"\nendpoints = ["CreateContainer"]\nexpression = '''\ntrue\n  && true'''\nenforcement = "audit"\n`;
  const configuration = await loadDocument(base, { delivery: [dropIns({ '/d/10.toml': later })] });
  const explanation = explainConfiguration(configuration);
  assert.deepEqual(explanation.settings.find(({ key }) => key === 'connections')?.others, [
    { value: 10, source: '/c.toml:4', reason: 'the lowest value counts' },
  ]);
  const exec = explanation.endpoints.find(({ method }) => method === 'ExecProcess');
  assert.deepEqual(exec?.findings, [
    { source: '/c.toml:2', text: 'allowed_endpoints has "*"', allows: true, decides: false },
    {
      source: '/c.toml:10',
      text: 'allowed_endpoints of listener "host" has "ExecProcess"',
      allows: true,
      decides: false,
    },
    {
      source: '/d/10.toml:7',
      text: 'blocked_endpoints of listener "host" has "@exec"',
      allows: false,
      decides: true,
    },
  ]);
  const text = renderExplanation(explanation);
  assert.match(
    text,
    /\ndocument \/d\/10\.toml \(drop_ins\)\n {2}sha256 [0-9a-f]{64}\n {2}bound by own root\n/,
  );
  assert.match(text, /\n@pod in allowed_endpoints of listener "host" \(\/c\.toml:10\)\n/);
  assert.match(
    text,
    /\nrule small \(\/d\/10\.toml:9\), which only records\n {2}for CreateContainer\n {2}true && true\n/,
  );
  assert.match(text, /\n {4}and rule small \(\/d\/10\.toml:9\) must be true\n/);
  assert.match(text, /\n {4}\/d\/10\.toml: release = "2\.0\.0", and it was added in /);
});

test('several listeners have a matrix, and what each has of its own', async () => {
  const base = `[api]\non_denied_read = "eof"\n[delivery]\naccept = ["drop_ins"]\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nallowed_endpoints = ["@pod"]\n[[listener]]\nname = "tenant"\naddress = "unix:///run/t"\npeers = ["any"]\nallowed_endpoints = ["ExecProcess", "WaitProcess"]\non_denied_read = "error"\nlimits = { connections = 4 }\n[[api.rule]]\nname = "small"\nendpoints = ["ExecProcess"]\nexpression = 'listener == "tenant"'\n`;
  const later =
    '[[listener]]\nname = "tenant"\npeers = ["host", "uid:7"]\n[[listener]]\nname = "host"\npeers = ["any"]\n';
  const explanation = explainConfiguration(
    await loadDocument(base, { delivery: [dropIns({ '/d/10.toml': later })] }),
  );
  assert.deepEqual(explanation.listeners, [
    { name: 'host', address: 'vsock://-1:1024', peers: ['host'] },
    {
      name: 'tenant',
      address: 'unix:///run/t',
      peers: ['host', 'uid:7'],
      onDeniedRead: 'error',
      limits: { connections: 4 },
    },
  ]);
  const row = (name: string): unknown => explanation.matrix?.find(({ method }) => method === name)?.listeners;
  assert.equal(explanation.matrix?.length, 42);
  assert.deepEqual(row('ExecProcess'), { host: 'not served', tenant: 'under rules' });
  assert.deepEqual(row('CreateContainer'), { host: 'served', tenant: 'not served' });
  assert.deepEqual(row('WaitProcess'), { host: 'served', tenant: 'served' });
  const text = renderExplanation(explanation);
  assert.match(
    text,
    /\nendpoints by listener\n {34}host {8}tenant\n {2}CreateContainer {17}served {6}not served\n/,
  );
  assert.match(text, /\n {2}ExecProcess {21}not served {2}under rules\n/);
  assert.match(
    text,
    /\nlistener tenant at unix:\/\/\/run\/t for host, uid:7\non_denied_read = "error"\nlimits = \{ connections = 4 \}\nendpoints: 2 of 42 served\n/,
  );
  const single = explainConfiguration(await load(document));
  assert.equal('matrix' in single, false);
  assert.doesNotMatch(renderExplanation(single), /by listener/);
});
