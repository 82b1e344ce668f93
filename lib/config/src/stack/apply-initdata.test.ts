import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { isServed } from '../api/served.js';
import { configurationDigest, explainConfiguration, renderExplanation } from '../index.js';
import { asking, fails, initdataDevice, load, narrow, open, warnings } from '../loading.test.fixture.js';

const defaults =
  'package agent_policy\n\ndefault CreateContainerRequest := true\ndefault ExecProcessRequest := false\n';
const rules = `${defaults}ExecProcessRequest {\n  input.process.Args[0] == "ls"\n}\n`;
const accepting = asking('accept = ["initdata"]\nbind = "none"');
const recording = asking('accept = ["initdata"]\nbind = "none"\nunused_initdata = "record"');

const everything = {
  'cdh.toml': 'socket = "x"\n',
  'policy.rego': defaults,
  'kata-agent.toml': '[limits]\ncontainers = 5\n',
  'aa.toml': '[token]\n',
  'other.txt': 'x',
};

type Loaded = Awaited<ReturnType<typeof load>>;

function outcomes({ initdata }: Loaded): Readonly<Record<string, string>> {
  return Object.fromEntries(initdata?.files.map(({ name, outcome }) => [name, outcome]) ?? []);
}

function serves({ api }: Loaded, method: 'ExecProcess' | 'CreateContainer' | 'CopyFile'): boolean {
  return isServed(api.documents, 'server_addr', method);
}

test('each file of an envelope is applied, kept or ignored, and the envelope is one document of the digest', async () => {
  const configuration = await load(accepting, { delivery: [initdataDevice(everything)] });
  assert.deepEqual(outcomes(configuration), {
    'cdh.toml': 'kept',
    'policy.rego': 'applied',
    'kata-agent.toml': 'applied',
    'aa.toml': 'kept',
    'other.txt': 'ignored',
  });
  assert.deepEqual(
    [
      serves(configuration, 'CreateContainer'),
      serves(configuration, 'ExecProcess'),
      configuration.limits.containers,
    ],
    [true, false, 5],
  );
  assert.deepEqual(
    configuration.documents.map(({ file, source, binding }) => [file, source, binding]),
    [
      ['/c.toml', '-c', undefined],
      ['initdata (/dev/vdb)', 'initdata', 'none'],
    ],
  );
  assert.equal(configuration.digest, configurationDigest(configuration.documents));
  const envelope = JSON.stringify(everything);
  assert.equal(configuration.initdata?.sha256, createHash('sha256').update(envelope).digest('hex'));
  const { 'other.txt': _, ...used } = everything;
  assert.deepEqual(Object.fromEntries(configuration.initdataTexts), { ...used, 'initdata.toml': envelope });
  assert.match(
    renderExplanation(explainConfiguration(configuration)),
    /\nfiles of initdata \(\/dev\/vdb\)\n {2}cdh\.toml: kept\n {2}policy\.rego: applied\n/,
  );
});

test('a policy narrows what the documents before it serve, and opens nothing', async () => {
  const base = accepting.replace('["*"]', '["ExecProcess", "CopyFile"]');
  const policy = defaults.replace('ExecProcessRequest := false', 'ExecProcessRequest := true');
  const configuration = await load(base, { delivery: [initdataDevice({ 'policy.rego': policy })] });
  assert.deepEqual(
    [
      serves(configuration, 'CreateContainer'),
      serves(configuration, 'ExecProcess'),
      serves(configuration, 'CopyFile'),
    ],
    [false, true, false],
  );
});

test('an envelope is bound before its policy is parsed', async () => {
  const device = initdataDevice({ 'policy.rego': rules });
  const pinned = asking(`accept = ["initdata"]\nbind = "sha256:${'0'.repeat(64)}"`);
  const message = await fails(pinned, { delivery: [device] }, 3);
  assert.match(message, /^error\[KA1705\]: initdata \(\/dev\/vdb\) is not the pinned document/);
  assert.doesNotMatch(message, /policy\.rego/);
});

test('a policy with rules is fatal: the error names the file, the line and config migrate', async () => {
  const device = initdataDevice({ ...everything, 'policy.rego': rules });
  assert.match(
    await fails(accepting, { delivery: [device] }, 3),
    /^initdata \(\/dev\/vdb\) policy\.rego:5:1: error\[KA1713\]: initdata \(\/dev\/vdb\) policy\.rego cannot be applied: line "ExecProcessRequest \{" is no default.*\n.*\n.*\nhelp: convert it: kata-agent-ctl config migrate policy\.rego, .*unused_initdata = "record"/,
  );
  for (const text of ['', '# nothing\n', '[api]\nallowed_endpoints = ["@pod"]\n', 'package other\n']) {
    const other = initdataDevice({ 'policy.rego': text });
    assert.match(
      await fails(accepting, { delivery: [other] }, 3),
      /KA1713\].*policy\.rego cannot be applied/,
      text,
    );
  }
});

test('unused_initdata = "record" ignores a policy with rules, with a warning and its reason in the report', async () => {
  const device = initdataDevice({ ...everything, 'policy.rego': rules });
  const configuration = await load(recording, { delivery: [device] });
  assert.equal(serves(configuration, 'ExecProcess'), true);
  assert.equal(configuration.limits.containers, 5);
  assert.ok(warnings(configuration).some((text) => /policy\.rego cannot be applied: line/.test(text)));
  const policy = configuration.initdata?.files.find(({ name }) => name === 'policy.rego');
  assert.equal(policy?.outcome, 'ignored');
  assert.match(policy.reason ?? '', /is no default/);
});

test('required means a document: an envelope without one is an error only then', async () => {
  const components = [initdataDevice({ 'aa.toml': '', 'cdh.toml': '' })];
  const message =
    /^error\[KA1704\]: a further document is required, and initdata \(\/dev\/vdb\) has none that can be applied\nhelp: add "kata-agent\.toml" or a "policy\.rego" of defaults/;
  assert.match(await fails(accepting, { delivery: components }, 3), message);
  const unusable = [initdataDevice({ 'policy.rego': rules })];
  assert.match(await fails(recording, { delivery: unusable }, 3), message);
  const optional = asking('accept = ["initdata"]\nbind = "none"\nrequired = false');
  const configuration = await load(optional, { delivery: components });
  assert.deepEqual(outcomes(configuration), { 'aa.toml': 'kept', 'cdh.toml': 'kept' });
  assert.equal(configuration.documents.length, 2);
});

test('a device that the base document does not accept is fatal, or recorded and not used', async () => {
  const delivery = [initdataDevice(everything)];
  assert.match(
    await fails(open, { delivery }, 3),
    /^error\[KA1714\]: initdata \(\/dev\/vdb\) is not used: \/c\.toml does not accept initdata\nhelp: write accept = \["initdata"\]/,
  );
  const configuration = await load(asking('unused_initdata = "record"'), { delivery });
  assert.deepEqual([...new Set(Object.values(outcomes(configuration)))], ['ignored']);
  assert.equal(configuration.initdataTexts.size, 0);
  assert.equal(configuration.documents.length, 1);
  assert.equal(configuration.digest, configurationDigest(configuration.documents));
  assert.equal(serves(configuration, 'ExecProcess'), true);
  assert.ok(
    warnings(configuration).includes('initdata (/dev/vdb) is not used: /c.toml does not accept initdata'),
  );
  const offline = await load(open, { delivery, offline: { later: [], sense: 'warning' } });
  assert.equal(offline.initdata, undefined);
});

test("without a configuration a list of defaults restricts the API as with Kata's agent", async () => {
  const { 'kata-agent.toml': _, ...kata } = everything;
  const delivery = [initdataDevice(kata)];
  const configuration = await load(undefined, { delivery, flags: { debug_console: 'true' } });
  assert.deepEqual(
    [serves(configuration, 'CreateContainer'), serves(configuration, 'ExecProcess')],
    [true, false],
  );
  assert.equal(configuration.restricted, true);
  assert.equal(configuration.settings.debugConsole, true, 'no document forbids an override');
  assert.deepEqual(configuration.documents, []);
  assert.deepEqual([...configuration.initdataTexts.keys()].toSorted(), [
    'aa.toml',
    'cdh.toml',
    'initdata.toml',
    'policy.rego',
  ]);
  assert.ok(
    warnings(configuration).includes(
      'there is no configuration: only the policy in initdata restricts the API',
    ),
  );
  const without = await load(undefined);
  assert.notEqual(configuration.digest, without.digest);
});

test('without a configuration a policy with rules, and a document that needs a base, are fatal', async () => {
  const refused = (files: Readonly<Record<string, string>>) =>
    fails(undefined, { delivery: [initdataDevice(files)] }, 3);
  const policy = await refused({ 'policy.rego': rules });
  assert.match(policy, /KA1713\].*policy\.rego cannot be applied/);
  assert.doesNotMatch(policy, /unused_initdata/, 'there is no document that could say so');
  assert.match(
    await refused({ 'kata-agent.toml': narrow }),
    /KA1714\].*there is no base document that accepts it/,
  );
});

test('names of unknown files are truncated and their number is bounded', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `${index} ${'n'.repeat(500)}`);
  const files = Object.fromEntries(names.map((name) => [name, '']));
  const { initdata } = await load(undefined, { delivery: [initdataDevice({ ...files, 'aa.toml': '' })] });
  assert.equal(initdata?.files.length, 17);
  assert.equal(initdata.unlisted, 24);
  assert.ok(initdata.files.every(({ name }) => name.length <= 128));
  assert.ok(initdata.files.some(({ name }) => name === 'aa.toml'));
});

test('files for the data hub must be bound where [image] relies on it', async () => {
  const image = (text: string): string => `${accepting}[image]\n${text}\n`;
  const files = { 'kata-agent.toml': narrow, 'cdh.toml': 'socket = "x"\n' };
  const relying = [
    'puller = "cdh"',
    'puller = "built-in"\ncredentials = "kbs:///a/b/c"',
    'puller = "built-in"\ndecryption_keys = "kbs:///a/b/c"',
  ];
  for (const text of relying) {
    assert.match(
      await fails(image(text), { delivery: [initdataDevice(files)] }),
      /KA1718.*initdata \(\/dev\/vdb\) has cdh\.toml, and is not bound: .* on which \[image\] (puller|credentials|decryption_keys)/,
    );
    await load(image(text), { delivery: [initdataDevice({ 'kata-agent.toml': narrow })] });
    const envelope = Buffer.from(JSON.stringify(files));
    const pin = `sha256:${createHash('sha256').update(envelope).digest('hex')}`;
    await load(image(text).replace('"none"', `"${pin}"`), { delivery: [initdataDevice(files)] });
  }
  await load(image('puller = "built-in"'), { delivery: [initdataDevice(files)] });
});
