import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { membersOf, methodNames, runtimeCalls } from '@kata-agent/catalogue';
import { configurationOf } from '../testing/configuration-of.js';
import { abilities } from './ability.js';
import { preflight, type Preflight } from './preflight.js';

async function of(lists: string): Promise<Preflight> {
  return preflight(await configurationOf(`[api]\n${lists}\n`));
}

function example(name: string): string {
  return readFileSync(fileURLToPath(new URL(`../../../../examples/${name}.toml`, import.meta.url)), 'utf8');
}

test('with @pod pods run with either runtime, without logs', async () => {
  const report = await of('allowed_endpoints = ["@pod"]');
  assert.deepEqual(
    report.runtimes.map(({ breaks }) => breaks),
    [undefined, undefined],
  );
  for (const { goesOnWithout } of report.runtimes) {
    assert.deepEqual(
      goesOnWithout.map(({ call }) => call.method),
      ['ReadStdout', 'ReadStderr'],
    );
  }
  assert.ok(report.lost.some(({ name }) => name === 'kubectl logs'));
  assert.ok(report.kept.includes('exit codes'));
});

test('the first call that stops the pod is the first in the runtime’s own order', async () => {
  for (const missing of membersOf('@pod')) {
    const report = await of(`allowed_endpoints = ["@pod"]\nblocked_endpoints = ["${missing}"]`);
    for (const { runtime, breaks, goesOnWithout } of report.runtimes) {
      const row = runtimeCalls[runtime].find(
        ({ method, condition }) => method === missing && condition === undefined,
      );
      assert.equal(
        breaks?.call.method,
        row?.refused === 'fails' ? missing : undefined,
        `${missing} ${runtime}`,
      );
      const without = goesOnWithout.some(({ call }) => call.method === missing);
      assert.equal(without, row !== undefined && row.refused !== 'fails', `${missing} ${runtime}`);
    }
  }
  const nothing = await of('allowed_endpoints = []');
  assert.deepEqual(
    nothing.runtimes.map(({ breaks }) => breaks?.call.method),
    ['UpdateInterface', 'UpdateInterface'],
  );
  assert.match(nothing.runtimes[0]?.breaks?.reason ?? '', /not in allowed_endpoints/);
});

test('peer pods need neither the network nor the memory of the machine', async () => {
  const lists =
    'allowed_endpoints = ["@pod"]\nblocked_endpoints = ["UpdateInterface", "UpdateRoutes", "OnlineCPUMem"]';
  const configuration = await configurationOf(`[api]\n${lists}\n`);
  const { runtimes, unbuilt } = preflight(configuration, { runtimes: ['remote', 'go'] });
  assert.deepEqual(
    runtimes.map(({ breaks }) => breaks?.call.method),
    [undefined, 'UpdateInterface'],
  );
  assert.deepEqual(
    runtimes.map(({ refusedFeature }) => refusedFeature?.name),
    ['image_guest_pull', undefined],
  );
  assert.ok(!unbuilt.some(({ name }) => name === 'image_guest_pull'));
  const pulling = await configurationOf(`[api]\n${lists}\n[image]\npuller = "cdh"\n`);
  assert.equal(preflight(pulling, { runtimes: ['remote'] }).runtimes[0]?.refusedFeature, undefined);
  const [confidential] = preflight(configuration, { guest: 'confidential' }).runtimes;
  assert.equal(confidential?.refusedFeature?.name, 'image_guest_pull');
});

test('with all methods nothing is lost; with none everything is', async () => {
  assert.deepEqual((await of('release = "4.1"\nallowed_endpoints = ["*"]')).lost, []);
  assert.deepEqual((await of('allowed_endpoints = []')).kept, []);
});

test('every method that a feature needs exists, and each feature has a distinct name', () => {
  assert.equal(new Set(abilities.map(({ name }) => name)).size, abilities.length);
  for (const { needs } of abilities) for (const method of needs) assert.ok(methodNames.includes(method));
});

test('methods with enforced rules are listed, methods with rules in audit mode are not', async () => {
  const rule = (name: string, more: string): string =>
    `[[api.rule]]\nname = "${name}"\nendpoints = ["ExecProcess"]\nexpression = "true"\n${more}\n`;
  const report = await of(
    `allowed_endpoints = ["@pod", "@exec"]\n${rule('one', '')}${rule('two', 'enforcement = "audit"')}`,
  );
  assert.deepEqual([...report.underRules], [['ExecProcess', ['one']]]);
});

test('the examples match their names', async () => {
  for (const name of ['minimal', 'confidential', 'open']) {
    const { runtimes } = preflight(await configurationOf(example(name)));
    assert.ok(
      runtimes.every(({ breaks }) => breaks === undefined),
      name,
    );
  }
  const { runtimes } = preflight(await configurationOf(example('observe')));
  assert.ok(runtimes.every(({ breaks }) => breaks !== undefined));
});
