import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { remembered, type RemovedContainer, SavedState } from './saved-state.js';

test('the last container of each name and the last that exited with 0 are remembered', () => {
  const codes = recordsAfter(['init', 1], ['init', 0], ['web', 137], ['init', 2], ['init', 3]);
  assert.deepEqual(
    codes.map(({ name, exitCode }) => [name, exitCode]),
    [
      ['init', 0],
      ['web', 137],
      ['init', 3],
    ],
  );
  assert.deepEqual(
    recordsAfter(['init', 3], ['init', 0]).map(({ exitCode }) => exitCode),
    [0],
  );
});

test('no more than 256 are kept', () => {
  const many = recordsAfter(...Array.from({ length: 300 }, (_, index) => [`c${index}`, 0] as const));
  assert.equal(many.length, 256);
  assert.equal(many.at(-1)?.name, 'c299');
});

let state = '';
before(() => {
  state = mkdtempSync(join(tmpdir(), 'guest-records-'));
});
after(() => rmSync(state, { recursive: true }));

const unfinished = (id: string, order: number) => ({
  phase: 'creating' as const,
  id,
  order,
  storages: [],
  pciDevices: [],
});

test('containers are loaded in order of creation, and their numbers continue', () => {
  const records = new SavedState(state);
  for (const id of ['z', 'a', 'm']) records.saveContainer(unfinished(id, records.nextOrder()));
  records.removeContainer('a');
  records.removeContainer('a');
  const next = new SavedState(state);
  assert.deepEqual(
    next.loadContainers().map(({ id }) => id),
    ['z', 'm'],
  );
  assert.equal(next.nextOrder(), 4);
});

test('incomplete files and files of another format are ignored and removed', () => {
  const directory = join(state, 'containers');
  writeFileSync(join(directory, 'torn.json.new'), '{"format":1,"va');
  writeFileSync(join(directory, 'old.json'), '{"format":0,"value":{"id":"old"}}');
  const before = new SavedState(state).loadContainers().length;
  assert.equal(before, 2);
  assert.deepEqual(readdirSync(directory).sort(), ['m.json', 'z.json']);
});

test('the sandbox and storages are saved, replaced and removed', () => {
  const records = new SavedState(state);
  assert.equal(records.loadSandbox(), undefined);
  assert.deepEqual(records.loadStorages(), []);
  const sandbox = {
    phase: 'made' as const,
    id: 'pod',
    hostname: 'pod',
    storages: ['/run/kata-containers/x'],
    removed: [],
  };
  records.saveSandbox({ ...sandbox, phase: 'creating' });
  records.saveSandbox(sandbox);
  assert.deepEqual(new SavedState(state).loadSandbox(), sandbox);
  records.removeSandbox();
  assert.equal(records.loadSandbox(), undefined);
  records.saveStorages([]);
  assert.deepEqual(readdirSync(state), ['containers']);
});

test('removed containers are appended, and an incomplete line is cut off', () => {
  const records = new SavedState(state);
  const file = join(state, 'removed.jsonl');
  assert.deepEqual(records.loadRemoved(), []);
  records.openRemoved();
  assert.deepEqual(records.loadRemoved(), []);
  const first = { id: 'a', sources: [{ path: '/x/a', use: 'own' as const, isDirectory: true }] };
  const second = { id: 'b', sources: [] };
  records.addRemoved(first);
  records.addRemoved(second);
  assert.deepEqual(new SavedState(state).loadRemoved(), [first, second]);
  appendFileSync(file, '{"format":0,"value":{"id":"old","sources":[]}}\n{"format":5,"val');
  assert.deepEqual(records.loadRemoved(), [first, second]);
  records.addRemoved({ ...second, id: 'c' });
  assert.deepEqual(
    records.loadRemoved().map(({ id }) => id),
    ['a', 'b', 'c'],
  );
  records.clearRemoved();
  records.clearRemoved();
  assert.deepEqual(readdirSync(state), ['containers']);
});

function recordsAfter(
  ...ends: readonly (readonly [string, number | undefined])[]
): readonly RemovedContainer[] {
  return ends.reduce<readonly RemovedContainer[]>(
    (removed, [name, exitCode]) => remembered(removed, { name, exitCode, mounts: [] }),
    [],
  );
}
