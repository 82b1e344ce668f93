import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, groups, methodNames } from '@kata-agent/catalogue';
import { settings } from '@kata-agent/config';
import { Code, codeName } from '@kata-agent/ttrpc';
import { commands } from '../commands/index.js';
import { exitCodes } from '../exit-code.js';
import { markdownTable } from './markdown.js';
import { referencePages } from './pages.js';
import { statuses } from './statuses.js';

const pages = referencePages();
const page = (name: string): string => pages[`docs/reference/${name}.md`] ?? '';

test('four pages are made, below docs/reference, the same each time', () => {
  assert.deepEqual(Object.keys(pages).sort(), [
    'docs/reference/commands.md',
    'docs/reference/endpoints.md',
    'docs/reference/errors.md',
    'docs/reference/settings.md',
  ]);
  assert.deepEqual(referencePages(), pages);
});

test('every setting has its section with default, example and overrides', () => {
  for (const row of settings) {
    const start = page('settings').indexOf(`\n### \`${row.key}\`\n`);
    assert.notEqual(start, -1, row.key);
    const text = page('settings').slice(start).split('\n### ')[1] ?? '';
    assert.ok(text.includes(row.purpose), row.key);
    assert.ok(text.includes(`${row.key} = ${row.example}`), row.key);
    if (row.override !== undefined) assert.ok(text.includes(row.override.kernelWord), row.key);
    assert.equal(text.includes('Not built yet'), row.built !== 'yes', row.key);
  }
});

test('every method and group is described, and what is not built says so', () => {
  for (const name of methodNames) {
    const text = page('endpoints').split(`\n### ${name}\n`)[1]?.split('\n### ')[0] ?? '';
    assert.ok(text.includes(endpoints[name].purpose), name);
    assert.ok(text.includes(endpoints[name].exposure), name);
    assert.equal(text.includes('Not built yet'), !endpoints[name].built, name);
  }
  for (const group of groups.values())
    assert.ok(page('endpoints').includes(`\`${group.name}\` | `), group.name);
});

test('every command’s help is there with its examples', () => {
  for (const { path, examples } of commands) {
    assert.ok(page('commands').includes(`\n## kata-agent-ctl ${path}\n`), path);
    for (const { line } of examples) assert.ok(page('commands').includes(line), line);
  }
});

test('exit codes and statuses are all there, and the statuses exist', () => {
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
