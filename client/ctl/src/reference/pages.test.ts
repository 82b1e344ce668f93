import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, groups, methodNames } from '@kata-agent/catalogue';
import { checkDocument, listenerKeys, ruleKeys, secretKeys, settings, witnessKeys } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';
import { Code, codeName } from '@kata-agent/ttrpc';
import { commands } from '../commands/index.js';
import { exitCodes } from '@kata-agent/cli';
import { mistakes, printedFor } from './errors-page.js';
import { markdownTable } from './markdown.js';
import { referencePages } from './pages.js';
import { statuses } from '../output/statuses.js';

const pages = await referencePages();
const page = (name: string): string => pages[`docs/reference/${name}.md`] ?? '';

test('pages, schema and examples are generated deterministically', async () => {
  assert.deepEqual(Object.keys(pages).sort(), [
    'docs/reference/codes.md',
    'docs/reference/commands.md',
    'docs/reference/differences.md',
    'docs/reference/endpoints.md',
    'docs/reference/errors.md',
    'docs/reference/kata-agent.schema.json',
    'docs/reference/profiles.md',
    'docs/reference/replies.md',
    'docs/reference/rules.md',
    'docs/reference/settings.md',
    'examples/confidential.toml',
    'examples/minimal.toml',
    'examples/observe.toml',
    'examples/open.toml',
  ]);
  assert.deepEqual(await referencePages(), pages);
});

test('every setting has its section with default, example and overrides', () => {
  for (const row of settings) {
    const isAlone = settings.filter(({ key }) => key === row.key).length === 1;
    const head = isAlone ? '' : ` of \`[${row.section}]\``;
    const start = page('settings').indexOf(`\n### \`${row.key}\`${head}\n`);
    assert.notEqual(start, -1, row.key);
    const text = page('settings').slice(start).split('\n### ')[1] ?? '';
    assert.ok(text.includes(row.purpose), row.key);
    assert.ok(text.includes(`${row.key} = ${row.example}`), row.key);
    if (row.override !== undefined) assert.ok(text.includes(row.override.kernelWord), row.key);
    assert.equal(text.includes('Not built yet'), ['kata', 'later'].includes(row.built), row.key);
    assert.equal(text.includes('No effect'), row.built === 'unused', row.key);
  }
});

test('every key of a rule and a listener has its section', () => {
  for (const row of [
    ...Object.values(ruleKeys),
    ...Object.values(listenerKeys),
    ...Object.values(secretKeys),
    ...Object.values(witnessKeys),
  ]) {
    const heading = `\n### \`${row.key}\` of \`[[${row.table}]]\`\n`;
    const text = page('settings').split(heading)[1]?.split('\n### ')[0] ?? '';
    assert.ok(text.includes(row.purpose), row.key);
    assert.ok(text.includes(`${row.key} = ${row.example}`), row.key);
    assert.equal(text.includes('Not built yet'), row.built !== 'yes', row.key);
  }
});

test('every link within a page has a target', () => {
  for (const [path, text] of Object.entries(pages)) {
    const anchors = [...text.matchAll(/^#{1,4} (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^a-z0-9_ -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const [, anchor = ''] of text.matchAll(/\]\(#([^)]+)\)/g))
      assert.ok(anchors.includes(anchor), `${path}: ${anchor}`);
  }
});

/** Returns the diagnostics of a document, without the warnings that further documents may follow, and that files are not read. */
async function faults(text: string): Promise<readonly string[]> {
  const { diagnostics } = await checkDocument(new TextEncoder().encode(text), 'page.toml', {
    rules: () => Promise.resolve(createRuleChecker()),
  });
  return (
    diagnostics
      // An example is about one thing: which methods it leaves open is for the configuration that it is copied into.
      .filter(
        ({ code, message }) =>
          !['KA1210', 'KA1711'].includes(code) && !message.endsWith('no part of the digest'),
      )
      .map(({ severity, code, message }) => `${severity}[${code}]: ${message}`)
  );
}

test('every document in a page loads without warnings', async () => {
  let count = 0;
  for (const text of Object.values(pages)) {
    for (const [, document = ''] of text.matchAll(/```toml\n(.*?)```/gs)) {
      assert.deepEqual(await faults(document), [], document);
      count += 1;
    }
  }
  assert.ok(count >= 10, String(count));
});

/** The listener that the example of may_set completes. */
const tenantWithoutPeers = `[[listener]]
name = "tenant"
address = "tls://0.0.0.0:8443"
tls = { client_ca = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n" }`;

/** What some examples need. */
const completions: Readonly<Record<string, readonly string[]>> = {
  ak_certificate: ['sources = ["tpm"]', '[measurement]', 'tpm = "try"'],
  insecure_static_credentials: ['credentials = "/etc/kata-agent/auth.json"'],
  layers: [
    '[[api.rule]]\nname = "layers"\nendpoints = ["CreateContainer"]',
    'expression = \'verified_layers == ["a/b/1"]\'',
  ],
  may_set: [tenantWithoutPeers],
  required_within: [
    `[[audit.witness]]\nkey = ${witnessKeys.key.example}`,
    'via = "https://witness.example"',
    'ca = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"',
  ],
};

test('every example of a setting loads; an unbuilt setting warns or fails', async () => {
  const list = 'allowed_endpoints = ["@pod", "@logs"]\nrelease = "4.1"';
  for (const row of settings) {
    const example = `${row.key} = ${row.example}`;
    const kept = list.split('\n').filter((line) => !line.startsWith(`${row.key} = `));
    const api = row.section === 'api' ? [...kept, example] : kept;
    const accept =
      row.section === 'delivery' && row.key !== 'accept' ? ['accept = ["initdata", "drop_ins"]'] : [];
    const measured = row.key === 'checkpoint_pcr' ? ['tpm = "try"'] : [];
    const sources = row.key === 'require' ? ['sources = ["configfs-tsm"]'] : [];
    const isPulled = row.section === 'image' && !['puller', 'layers'].includes(row.key);
    const puller = isPulled ? ['puller = "built-in"'] : [];
    const before = [...accept, ...measured, ...sources, ...puller];
    const own = row.section === 'api' ? [] : [`[${row.section}]`, ...before, example];
    const named = completions[row.key] ?? [];
    const found = await faults(['[api]', ...api, ...own, ...named, ''].join('\n'));
    const expected = {
      yes: /^$/,
      kata: /^$|^warning\[KA1105\]/,
      unused: /^warning\[KA1108\]/,
      later: /^error\[KA1105\]/,
    }[row.built];
    assert.match(found.join('\n'), expected, `${example}: ${found.join('; ')}`);
  }
});

test('the mistakes in errors.md are reported, and their corrections load', async () => {
  for (const { title, wrong, right } of mistakes) {
    const printed = await printedFor(wrong);
    assert.match(printed, /^config\.toml:\d+:\d+: .*\n.*\n +\^+\nhelp: .+$/s, title);
    assert.ok(page('errors').includes(printed), title);
    assert.deepEqual(await faults(right), [], title);
  }
});

test('every method and group is documented', () => {
  for (const name of methodNames) {
    const text = page('endpoints').split(`\n### ${name}\n`)[1]?.split('\n### ')[0] ?? '';
    assert.ok(text.includes(endpoints[name].purpose), name);
    assert.ok(text.includes(endpoints[name].exposure), name);
  }
  for (const group of groups.values())
    assert.ok(page('endpoints').includes(`\`${group.name}\` | `), group.name);
});

test('the help of every command is included with its examples', () => {
  for (const { path, examples } of commands) {
    assert.ok(page('commands').includes(`\n## kata-agent-ctl ${path}\n`), path);
    for (const { line } of examples) assert.ok(page('commands').includes(line), line);
  }
});

test('exit codes and statuses are complete, and the statuses exist', () => {
  const known = new Set(Object.values(Code).map(codeName));
  for (const { status } of statuses) {
    for (const name of status.split(', ')) assert.ok(known.has(name), name);
  }
  for (const { code, meaning } of exitCodes) assert.ok(page('errors').includes(`| ${code} | `), meaning);
});

test('a cell cannot break its table', () => {
  assert.equal(
    markdownTable(['a'], [['x | y\nz <b> `<c>`']]),
    '| a |\n| --- |\n| x \\| y z &lt;b> `<c>` |\n',
  );
});
