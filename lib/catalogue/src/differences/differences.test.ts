import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { differences } from './differences.js';

const repository = new URL('../../../../', import.meta.url);

test('each difference names tests that exist', () => {
  for (const [id, file, name] of [...differences].flatMap(([row, { test: shown, also = [] }]) =>
    [shown, ...also].map((each) => [row, ...each] as const),
  )) {
    const path = new URL(`${file}.test.ts`, repository);
    assert.ok(existsSync(path), `${id}: ${file}.test.ts does not exist`);
    assert.ok(
      name !== '' && readFileSync(path, 'utf8').includes(name),
      `${id}: ${file} has no ${JSON.stringify(name)}`,
    );
  }
});

test('ids are words with hyphens, and each is given once', () => {
  for (const id of differences.keys()) assert.match(id, /^[a-z]+(?:-[a-z]+)*$/);
});
