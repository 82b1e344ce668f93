import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Configuration } from '@kata-agent/config';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { offlineAuthorizer } from '../suites/offline-authorizer.js';
import { configurationOf } from '../testing/configuration-of.js';
import { parseSuite, type TestSuite } from './parse-suite.js';
import { type CaseResult, runSuite } from './run-suite.js';

const examples = fileURLToPath(new URL('../../../../examples/', import.meta.url));
const files = readdirSync(examples, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.yaml'))
  .sort();

function suiteIn(name: string): TestSuite {
  const parsed = parseSuite(readFileSync(join(examples, name), 'utf8'), name);
  assert.ok(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.diagnostics));
  return parsed.suite;
}

async function configurationFor(name: string, suite: TestSuite): Promise<Configuration> {
  const path = join(examples, dirname(name), suite.configuration ?? '');
  return await configurationOf(readFileSync(path, 'utf8'), async () => createRuleChecker());
}

/** Returns the cases with an unexpected decision, under the configuration or a variant of it. */
function failing(suite: TestSuite, configuration: Configuration): readonly CaseResult[] {
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  return runSuite(suite, offlineAuthorizer(configuration, compileRules(rules))).filter(
    ({ passed }) => !passed,
  );
}

function withoutRule(configuration: Configuration, name: string): Configuration {
  const documents = configuration.api.documents.map((document) => ({
    ...document,
    rules: document.rules.filter((rule) => rule.name !== name),
  }));
  return { ...configuration, api: { ...configuration.api, documents } };
}

/** Disables the agent's own check of privileged containers: only the rules decide. */
function rulesAlone(configuration: Configuration): Configuration {
  return { ...configuration, settings: { ...configuration.settings, privilegedContainers: 'allow' } };
}

test('there are tests for the rules and for the configurations', () => {
  assert.ok(files.length >= 12, files.join(', '));
});

test("the example in the format's documentation parses", () => {
  const page = readFileSync(join(examples, 'tests', 'README.md'), 'utf8');
  const [, block = ''] = /```yaml\n([^]*?)```/.exec(page) ?? [];
  const parsed = parseSuite(block, 'README.md');
  assert.ok(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.diagnostics));
  assert.deepEqual(Object.keys(parsed.suite.cases[0] ?? {}).sort(), [
    'container',
    'expect',
    'listener',
    'method',
    'name',
    'peer',
    'request',
    'rule',
    'sandbox',
    'span',
  ]);
});

for (const file of files) {
  test(`${file} passes, and fails without any one of its rules`, async () => {
    const suite = suiteIn(file);
    const configuration = await configurationFor(file, suite);
    assert.deepEqual(failing(suite, configuration), []);
    assert.deepEqual(failing(suite, rulesAlone(configuration)), []);
    for (const { rules } of configuration.api.documents) {
      for (const { name } of rules)
        assert.notDeepEqual(
          failing(suite, rulesAlone(withoutRule(configuration, name))),
          [],
          `without ${name}`,
        );
    }
  });
}
