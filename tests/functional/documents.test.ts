import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { imports } from '@kata-agent/tool-repository/check/package-directions';
import { citationFaults } from '../harness/citation-faults.js';
import { citingTexts, directories, documentsOf, exists, type Texts } from '../harness/documents.js';
import { decisionFaults, indexFaults, linkFaults } from '../harness/link-faults.js';
import { repository } from '../harness/repository.js';
import { originFaults, requirementFaults } from '../harness/requirement-faults.js';

const count = (letter: string, length: number): readonly string[] =>
  Array.from({ length }, (_, index) => `${letter}${index + 1}`);
/** Rows from S38 on are added one by one, each with what enforces it. */
const reserved = new Set(count('S', 45).slice(37));
const rowsOf = readFileSync(`${repository}docs/security.md`, 'utf8');
const pages = [
  {
    page: 'docs/security.md',
    ids: count('S', 45).filter((id) => !reserved.has(id) || rowsOf.includes(`\n| ${id} | `)),
  },
  { page: 'docs/requirements.md', ids: count('R', 18) },
];
const ids = pages.flatMap((each) => each.ids);

/** Their citations are samples. */
const samples = ['tests/functional/documents.test.ts', 'tests/harness/citation-faults.ts'];

const texts: Texts = new Map([...citingTexts()].filter(([path]) => !samples.includes(path)));
const documents = documentsOf(texts);
const cited = (changed: Texts): readonly string[] =>
  citationFaults(changed, { ids, exists, roots: directories });

/** Returns the texts with one of them changed. */
function changing(path: string, change: (text: string) => string): Texts {
  const text = texts.get(path) ?? '';
  const changed = change(text);
  assert.notEqual(changed, text, path);
  return new Map([...texts, [path, changed]]);
}

for (const { page, ids } of pages) {
  const text = documents.get(page) ?? '';
  const faults = (changed: string): readonly string[] => requirementFaults(changed, { ids, exists });
  const row = (id: string): string => new RegExp(`^\\| ${id} \\|.*\n`, 'm').exec(text)?.[0] ?? '';

  test(`${page} has each row once, with existing tests or a reason`, () => {
    assert.deepEqual(faults(text), []);
  });

  test(`each of these mistakes in ${page} is found`, () => {
    const existing = 'tests/functional/served.test.ts';
    const [first = '', second = '', third = ''] = ids;
    const later = `${first[0]}99`;
    const shown = row(third);
    const emptied = shown.replace(/\| [^|]* \|\n$/, '|  |\n');
    assert.notEqual(emptied, shown);
    for (const [changed, fault] of [
      [text.replace(row(second), ''), `${second} has no row`],
      [text.replace(row(second), row(second).repeat(2)), `${second} has two rows`],
      [text.replace(row(second), row(second) + row(second).replace(second, later)), `${later} is not an id`],
      [
        text.replaceAll(existing, existing.replace(/[^/]+$/, 'none.test.ts')),
        /no test tests\/\w+\/none\.test\.ts/,
      ],
      [text.replaceAll(existing, 'tests/harness/sweep.ts'), /there is no test tests\/harness\/sweep\.ts/],
      [text.replace(`(../${existing})`, '(../README.md)'), /: the link of .* leads to \.\.\/README\.md$/],
      [text.replace(shown, emptied), `${third} names neither a test nor a reason`],
      [text.replace(shown, shown.replace(/ \|\n$/, ', seen |\n')), /: .*, seen is not a link to a test$/],
    ] as const) {
      const found = faults(changed);
      assert.ok(
        found.length > 0 &&
          found.every((each) => (typeof fault === 'string' ? each === fault : fault.test(each))),
        `${String(fault)}: ${found.join('; ')}`,
      );
    }
    // A reason replaces tests.
    assert.deepEqual(faults(text.replace(shown, emptied.replace(' |  |', ' **Not built yet.** |  |'))), []);
  });
}

test('docs/requirements.md says of each requirement where it comes from', () => {
  const text = documents.get('docs/requirements.md') ?? '';
  const all = count('R', 18);
  assert.deepEqual(originFaults(text, all), []);
  const row = /^\| R9 \| magowan.*\n/m.exec(text)?.[0] ?? assert.fail();
  for (const [changed, fault] of [
    [text.replace(row, ''), 'R9 has 0 rows that say where it comes from'],
    [text.replace(row, row.repeat(2)), 'R9 has 2 rows that say where it comes from'],
    [text.replace(row, row + row.replace('R9', 'R99')), 'R99 is not an id'],
    [text.replace(row, row.replace(/magowan[^|]*/, ' ')), 'R9 does not say where it comes from'],
  ] as const)
    assert.deepEqual(originFaults(changed, all), [fault]);
});

test('citations in code and documents resolve: ids, pages, sections, records, paths', () => {
  assert.deepEqual(cited(texts), []);
});

test('an unresolved citation is found', () => {
  const code = 'agent/server/src/log.ts';
  const add = (line: string): Texts => changing(code, (text) => `// ${line}\n${text}`);
  const number = ids.length;
  for (const [changed, fault] of [
    [add(`S${number}`), `${code} cites S${number}, which has no row`],
    [add(`R${number}`), `${code} cites R${number}, which has no row`],
    [add('(MEASURED)'), `${code} cites MEASURED, which is not a page: write docs/NAME.md`],
    [add('docs/none.md'), `${code} cites docs/none.md, which does not exist`],
    [add('docs/adr/none.md'), `${code} cites docs/adr/none.md, which does not exist`],
    [
      add('docs/adr/paths.md, "Nothing"'),
      `${code} cites docs/adr/paths.md, "Nothing", and the page has no such section`,
    ],
    [
      add('docs/configuration.md,\n// "Nothing"'),
      `${code} cites docs/configuration.md, "Nothing", and the page has no such section`,
    ],
    [
      changing('docs/architecture.md', (text) =>
        text.replace('agent/server/src/startup/load.ts', 'agent/src/none.ts'),
      ),
      'docs/architecture.md names agent/src/none.ts, which does not exist',
    ],
  ] as const)
    assert.deepEqual(cited(changed), [fault]);
});

test('links between documents resolve to files and sections', () => {
  assert.deepEqual(linkFaults(documents, exists), []);
});

test('an unresolved link is found', () => {
  const faults = (change: (text: string) => string): readonly string[] =>
    linkFaults(documentsOf(changing('docs/trust.md', change)), exists);
  assert.deepEqual(
    faults((text) => text.replace('(#connections)', '(#none)')),
    ['docs/trust.md: #none is not a section of that page'],
  );
  assert.deepEqual(
    faults(
      (text) => `${text}\n[x](reference/settings.md#hooks) [y](none.md) [z](https://example.org/none)\n`,
    ),
    ['docs/trust.md: none.md does not exist'],
  );
});

test('docs/README.md has each document once', () => {
  const index = 'docs/README.md';
  assert.deepEqual(indexFaults(index, documents), []);

  const line = /^- \[Trust\].*\n/m;
  const indexOf = (change: (text: string) => string): readonly string[] =>
    indexFaults(index, documentsOf(changing(index, change)));
  assert.deepEqual(
    indexOf((text) => text.replace(line, '')),
    [`${index} names docs/trust.md 0 times`],
  );
  assert.deepEqual(
    indexOf((text) => text.replace(line, (found) => found.repeat(2))),
    [`${index} names docs/trust.md 2 times`],
  );
});

test('decisions are by topic, and cited by name and section', () => {
  assert.deepEqual(decisionFaults(texts), []);
  const record = texts.get('docs/adr/paths.md') ?? assert.fail();
  for (const [path, text, fault] of [
    ['docs/adr/0089-paths.md', record, 'docs/adr/0089-paths.md is not a name in words'],
    ['docs/adr/again.md', '# 89. Paths\n\n## Once\n', 'docs/adr/again.md does not begin with its topic'],
    ['docs/adr/again.md', '# Paths\n', 'docs/adr/again.md has no section'],
    ['docs/again.md', 'as ADR 12 says', 'docs/again.md cites a decision by a number: ADR 12'],
    ['docs/again.md', '[0012](x.md)', 'docs/again.md cites a decision by a number: [0012]('],
    ['docs/again.md', '[12](adr/0012-x.md)', 'docs/again.md cites a decision by a number: adr/0012-x'],
  ] as const)
    assert.deepEqual(decisionFaults(new Map([...texts, [path, text]])), [fault]);
});

test('docs/architecture.md has the allowed imports of package-directions.ts', () => {
  const page = documents.get('docs/architecture.md') ?? '';
  const rows = [...page.matchAll(/^\| `([a-z0-9-]+\/[a-z0-9-]+)` \| [^|]+ \| ([^|]*) \|$/gm)].map(
    ([, name = '', others = '']) => [
      name,
      [...others.matchAll(/`([a-z0-9/-]+)`/g)].map(([, other = '']) => other),
    ],
  );
  assert.deepEqual(Object.fromEntries(rows), imports);
});

/** Returns the names of tests that a page quotes after a file, and that the file does not have. An ellipsis stands for the rest. */
function missingTests(page: string, text: string): readonly string[] {
  let file = '';
  return [...text.matchAll(/`((?:lib|agent|client|realm|tests)\/[^`]+)`|"([^"\n]+)"|\n/g)].flatMap(
    ([, path, name]) => {
      if (path !== undefined) file = path.endsWith('.test.ts') ? path : '';
      else if (name === undefined) file = '';
      else if (
        file !== '' &&
        !readFileSync(`${repository}${file}`, 'utf8').includes(name.replace(/ ?…$/, ''))
      )
        return [`${page}: ${file} has no test "${name}"`];
      return [];
    },
  );
}

test('docs/records/kata-log.md quotes tests that exist', () => {
  const page = 'docs/records/kata-log.md';
  const text = texts.get(page) ?? assert.fail(page);
  assert.deepEqual(missingTests(page, text), []);
  assert.ok(missingTests(page, text.replaceAll('a blank disk is formatted', 'a disk is blank')).length === 1);
});
