import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unclaimedWithForward } from '@kata-agent/catalogue';
import { explainConfiguration } from '../explain/explain-configuration.js';
import { renderExplanation } from '../explain/render-explanation.js';
import { fails, load, open, warnings } from '../loading.test.fixture.js';
import { settings } from '../settings/settings.js';
import type { RuleChecker } from '../index.js';

const address = 'unix:///run/kata-agent-inner/agent.sock';
const forward = `[agent]\nforward = "${address}"\n`;

test('the address is a unix socket with a path', async () => {
  const { settings: loaded } = await load(forward + open);
  assert.equal(loaded.forward, address);
  const long = `unix:///run/${'x'.repeat(104)}`;
  for (const wrong of [
    'unix://@inner',
    'unix://run/a',
    'unix:///run/../a',
    'vsock://-1:1024',
    '/run/a',
    long,
  ])
    assert.match(
      await fails(forward.replace(address, wrong) + open),
      /error\[KA1102\]: forward must be the address of a unix socket with a path/,
    );
});

/** Verified layers need a rule. */
const pinning =
  '[[api.rule]]\nname = "r"\nendpoints = ["CreateContainer"]\nexpression = \'verified_layers == []\'\n';

test('each setting about work of the guest is an error, unless it has its default', async () => {
  const rows = settings.filter(({ withoutGuest }) => withoutGuest !== undefined);
  assert.ok(rows.length > 25);
  const api = (more: string): string => `[api]\nallowed_endpoints = ["*"]\n${more}`;
  for (const row of rows) {
    const { section, key, example, withoutGuest: reason } = row;
    const written = (value: string): string => {
      const line = `${key} = ${value}\n`;
      if (section === 'agent') return forward + line + api('');
      return forward + (section === 'api' ? api(line) : `${api('')}[${section}]\n${line}`);
    };
    const isDefault = row.default !== undefined && row.type.write(row.default) === example;
    if (isDefault) await load(written(example));
    else {
      const error = await fails(written(example));
      assert.match(error, /error\[KA1112\]/, key);
      assert.ok(error.includes(`${key} has no effect with forward: ${reason}`), key);
    }
    if (row.default !== undefined) await load(written(row.type.write(row.default)));
    const alone = written(example).replace(/forward = .*\n/, '');
    await load(key === 'layers' ? `${alone}${pinning}` : alone);
  }
});

test('settings about requests, callers and records are not errors', async () => {
  await load(
    `${forward}on_end = "exit"\nprivileged_containers = "allow"\ndevices = ["/dev/fuse"]\n${open}` +
      '[audit]\nfacts = true\nkeep = 2\n[limits]\nconnections = 2\nrequest_fields = 100\nframe_timeout = "1s"\n' +
      '[measurement]\ntpm = "try"\n[[listener]]\nname = "host"\naddress = "unix:///run/a"\nmanagement = ["Describe"]\n',
  );
});

test('evidence is an error, whatever its source, but for none', async () => {
  for (const source of ['configfs-tsm', 'attestation-agent']) {
    const section = `[evidence]\nsources = ["${source}"]\n`;
    assert.match(await fails(forward + open + section), /error\[KA1118\]: evidence with forward/);
    await load(open + section);
  }
  const tpm = '[measurement]\ntpm = "try"\n[evidence]\nsources = ["tpm"]\n';
  assert.match(await fails(forward + open + tpm), /error\[KA1118\]/);
  await load(`${forward}${open}[evidence]\nsources = []\n`);
});

test('overrides about work of the guest are warnings', async () => {
  const found = warnings(
    await load(forward + open, {
      kernelCommandLine: 'agent.hotplug_timeout=9 agent.cdh_api_timeout=50 agent.log=info',
    }),
  );
  assert.deepEqual(found, [
    'kernel command line agent.hotplug_timeout: hotplug_timeout has no effect with forward: the inner agent does this: set it there',
  ]);
});

test('end of file for denied reads is an error for a listener and by a rule, too', async () => {
  const listener = '[[listener]]\nname = "host"\naddress = "unix:///run/a"\non_denied_read = "eof"\n';
  assert.match(await fails(forward + open + listener), /error\[KA1112\]: on_denied_read has no effect/);
  const rule =
    '[[api.rule]]\nname = "r"\nendpoints = ["ReadStdout"]\nexpression = "true"\non_denied_read = "eof"\n';
  assert.match(await fails(forward + open + rule), /error\[KA1112\]: on_denied_read has no effect/);
  await load(forward + open + rule.replace('eof', 'error'));
});

test('rules that use the state of the guest are errors with forward alone', async () => {
  const rules = async (): Promise<RuleChecker> => ({
    patternFault: () => undefined,
    check: ({ expression }) => ({
      faults: [],
      needsGuest: [
        {
          severity: 'error',
          code: 'KA1315',
          start: expression.indexOf('sandbox'),
          end: expression.indexOf('sandbox') + 7,
          message: 'sandbox is not known',
        },
      ],
    }),
  });
  const rule =
    '[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = \'"\\u00e9" == sandbox.id\'\n';
  await load(open + rule, { rules });
  assert.match(
    await fails(forward + open + rule, { rules }),
    /:8:27: error\[KA1315\]: sandbox is not known\n.*\n {28}\^{7}/,
  );
});

test('forward opens the guest: once the documents restrict the API, no override changes it', async () => {
  const line = { kernelCommandLine: `agent.forward=${address}` };
  const pod = '[api]\nallowed_endpoints = ["@pod"]\n';
  assert.equal((await load(pod, line)).settings.forward, undefined);
  assert.equal((await load(open, line)).settings.forward, address);
  const other = { kernelCommandLine: 'agent.forward=unix:///run/other' };
  assert.equal((await load(forward + pod, other)).settings.forward, address);
});

test('explain says what is not claimed', async () => {
  const explanation = explainConfiguration(await load(forward + open));
  assert.deepEqual(explanation.forward, { address, unclaimed: unclaimedWithForward });
  const text = renderExplanation(explanation);
  assert.ok(text.includes(`forward mode: calls are forwarded to the agent at ${address}`));
  for (const { id, what } of unclaimedWithForward) assert.ok(text.includes(`  ${id.padEnd(4)}${what}\n`), id);
  const without = explainConfiguration(await load(open));
  assert.equal(without.forward, undefined);
  assert.ok(!renderExplanation(without).includes('forward mode'));
});
