import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../harness/repository.js';
import { sourceFiles } from '../harness/source-files.js';

const page = readFileSync(join(repository, 'docs', 'security.md'), 'utf8');
const ids = Array.from({ length: 37 }, (_, index) => `S${index + 1}`);

/** The ids that code, tests and scripts cite, each with a file that does. */
function citations(): ReadonlyMap<string, string> {
  const cited = new Map<string, string>();
  for (const directory of ['packages', 'tests', 'scripts'])
    for (const path of sourceFiles(directory, /\.(ts|mjs|md|toml|sh|proto|go)$/))
      for (const [id] of readFileSync(join(repository, path), 'utf8').matchAll(/\bS\d+\b/g))
        cited.set(id, path);
  return cited;
}

/** What is wrong with the page's tables. */
function faultsOf(text: string, cited: ReadonlyMap<string, string>): readonly string[] {
  const faults: string[] = [];
  const rows = new Set<string>();
  for (const line of text.split('\n').filter((each) => each.startsWith('| '))) {
    const [, id = '', holds = '', shownBy = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (/^(---|id|part)$/.test(id)) continue;
    if (rows.has(id)) faults.push(`${id} has two rows`);
    rows.add(id);
    const tests = [...shownBy.matchAll(/\[([^\]]*)\]\(([^)]*)\)/g)];
    if (tests.length === 0 && !/not built yet|not shown:/i.test(holds))
      faults.push(`${id} names neither a test nor a reason`);
    for (const [, path = '', link = ''] of tests) {
      if (link !== `../${path}`) faults.push(`${id}: the link of ${path} leads to ${link}`);
      if (!path.endsWith('.test.ts') || !existsSync(join(repository, path)))
        faults.push(`${id}: there is no test ${path}`);
    }
    const rest = tests.reduce((left, [whole]) => left.replace(whole, ''), shownBy);
    if (rest.replaceAll('<br>', '') !== '') faults.push(`${id}: ${rest} is no link to a test`);
  }
  for (const id of ids) if (!rows.has(id)) faults.push(`${id} has no row`);
  for (const id of rows) if (/^S\d/.test(id) && !ids.includes(id)) faults.push(`${id} is no id`);
  for (const [id, path] of cited) if (!rows.has(id)) faults.push(`${path} cites ${id}, which has no row`);
  return faults;
}

test('docs/security.md has each row once, with tests that exist or a reason, and all ids that are cited', () => {
  const cited = citations();
  assert.ok(cited.size >= 30, `only ${cited.size} ids were found`);
  assert.deepEqual(faultsOf(page, cited), []);
});

test('each of these mistakes in the page is found', () => {
  const row = (id: string): string => new RegExp(`^\\| ${id} \\|.*\n`, 'm').exec(page)?.[0] ?? '';
  const existing = 'tests/functional/served.test.ts';
  const none = new Map<string, string>();
  const later = `S${ids.length + 2}`;
  const emptied = row('S28').replace(/\| [^|]* \|\n$/, '|  |\n');
  assert.notEqual(emptied, row('S28'));
  for (const [text, fault] of [
    [page.replace(row('S12'), ''), 'S12 has no row'],
    [page.replace(row('S12'), row('S12').repeat(2)), 'S12 has two rows'],
    [page.replace(row('S12'), row('S12') + row('S12').replace('S12', later)), `${later} is no id`],
    [page.replaceAll(existing, 'tests/functional/none.test.ts'), /no test tests\/functional\/none\.test\.ts/],
    [page.replaceAll(existing, 'tests/harness/sweep.ts'), /there is no test tests\/harness\/sweep\.ts/],
    [page.replace(`(../${existing})`, '(../README.md)'), `S1: the link of ${existing} leads to ../README.md`],
    [page.replace(row('S28'), emptied), 'S28 names neither a test nor a reason'],
    [
      page.replace(row('S28'), row('S28').replace(/ \|\n$/, ', seen |\n')),
      /^S28: .*, seen is no link to a test$/,
    ],
  ] as const) {
    const faults = faultsOf(text, none);
    assert.ok(
      faults.length > 0 &&
        faults.every((each) => (typeof fault === 'string' ? each === fault : fault.test(each))),
      `${String(fault)}: ${faults.join('; ')}`,
    );
  }
  // A reason stands for tests.
  assert.deepEqual(
    faultsOf(page.replace(row('S28'), emptied.replace(' |  |', ' **Not built yet.** |  |')), none),
    [],
  );
  assert.deepEqual(faultsOf(page, new Map([[later, 'x.ts']])), [`x.ts cites ${later}, which has no row`]);
});
