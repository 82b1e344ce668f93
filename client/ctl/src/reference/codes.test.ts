import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Code, codeSubjects, codes } from '@kata-agent/catalogue/codes';
import { causedBy, inAgent, situations } from './causes.test.fixture.js';

const all = Object.keys(codes) as Code[];

test('codes are KA and four digits, in rising order, so that each is found by its subject', () => {
  for (const code of all) assert.match(code, /^KA[1-9]\d{3}$/);
  assert.deepEqual(all.toSorted(), all);
  assert.deepEqual([...new Set(all.map((code) => code.slice(0, 4)))], [...codeSubjects.keys()]);
});

test('every text of the table is written out', () => {
  for (const [code, { title, explanation, remedy }] of Object.entries(codes)) {
    assert.match(title, /^[^.]{8,70}$/, code);
    assert.match(explanation, /\.$/, code);
    assert.match(remedy, /\.$/, code);
  }
});

for (const code of all) {
  test(`${code}: its example causes it`, async () => {
    const { example } = codes[code];
    const situation = situations[code];
    const shown = inAgent[code];
    if (shown !== undefined) {
      assert.match(readFileSync(new URL(`../../../../${shown}`, import.meta.url), 'utf8'), new RegExp(code));
      return;
    }
    assert.equal(situation === undefined, example.kind !== 'described', 'one way to cause it');
    const diagnostics = await (situation?.() ?? causedBy(example));
    const found = diagnostics.map((diagnostic) => diagnostic.code);
    assert.ok(found.includes(code), JSON.stringify(diagnostics.map(({ message }) => message)));
  });
}
