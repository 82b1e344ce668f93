import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Configuration,
  type Explanation,
  explainConfiguration,
  renderExplanation,
  settings,
} from '../index.js';
import { load as loadDocument } from '../loading.test.fixture.js';

async function load(document: string | undefined, kernelLine = ''): Promise<Configuration> {
  return loadDocument(document, { kernelLine });
}

const document =
  '[api]\nrelease = "3.21"\nallowed_endpoints = ["ExecProcess", "@exec", "@logs", "UpdateRoutes"]\nblocked_endpoints = ["@copy"]\n[agent]\nlog_level = "warn"\n';

test('an explanation has every setting, every endpoint, and survives JSON', async () => {
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
    method: 'ReadStdout',
    served: true,
    built: true,
    reason: 'the documents serve it',
  });
  assert.deepEqual(endpoint('CreateSandbox'), {
    method: 'CreateSandbox',
    served: false,
    built: true,
    reason: 'the documents do not serve it',
  });
});

test("the gate's decisions are the ones that are told, if it is asked", async () => {
  const { endpoints } = explainConfiguration(await load(document), (method) => ({
    outcome: method === 'CopyFile' ? 'allow' : 'deny',
    reason: `because of ${method}`,
  }));
  assert.deepEqual(
    endpoints.filter(({ served }) => served).map(({ reason }) => reason),
    ['because of CopyFile'],
  );
});

test('the text has documents, values with their source, what others said, groups, endpoints and what was ignored', async () => {
  const text = renderExplanation(
    explainConfiguration(
      await load(document, 'agent.log=debug agent.debug_console agent.dev_mode=x agent.devmode=1'),
    ),
  );
  const has = (line: string): void => assert.ok(text.split('\n').includes(line), `${line}\n\n${text}`);
  has('document /c.toml (-c)');
  has('  log_level = "debug"                               # kernel line agent.log');
  has('    /c.toml:6 said warn: overridden by kernel line agent.log');
  has('  oci_runtime = (not set)                           # default');
  has('@logs in allowed_endpoints (/c.toml:3)');
  has('  ReadStdout, ReadStderr');
  has('endpoints: 4 of 42 served');
  assert.match(text, /\n {2}UpdateRoutes +not built {3}the documents serve it\n/);
  assert.match(text, /\n {2}ReadStdout +served {6}the documents serve it\n/);
  assert.match(text, /\n {2}CopyFile +not served {2}the documents do not serve it\n/);
  assert.match(text, /\nignored overrides\n {2}kernel line agent\.debug_console: it opens the guest/);
  assert.match(text, /\n {2}kernel line agent\.devmode = 1: it opens/);
});

test('without a document the text says that everything is served', async () => {
  const text = renderExplanation(explainConfiguration(await load(undefined)));
  assert.match(text, /^no document: the full API is served\nconfiguration digest e3b0c442/);
  assert.match(text, /\nendpoints: 42 of 42 served\n/);
  assert.doesNotMatch(text, /ignored overrides/);
});

test('a value of a row that is gone is told as not set', async () => {
  const configuration = await load(undefined);
  const stray = { section: 'agent', key: 'gone', value: 1, source: 'default', others: [] } as const;
  const explanation: Explanation = explainConfiguration({ ...configuration, values: [stray] });
  assert.equal(explanation.settings[0]?.written, '(not set)');
});
