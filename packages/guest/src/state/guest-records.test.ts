import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GuestRecords } from './guest-records.js';

let state = '';
before(() => {
  state = mkdtempSync(join(tmpdir(), 'guest-records-'));
});
after(() => rmSync(state, { recursive: true }));

const unfinished = (id: string, order: number) => ({ phase: 'making' as const, id, order, storages: [] });

test('containers come back in the order in which they were made, and the count goes on', () => {
  const records = new GuestRecords(state);
  for (const id of ['z', 'a', 'm']) records.saveContainer(unfinished(id, records.nextOrder()));
  records.removeContainer('a');
  records.removeContainer('a');
  const next = new GuestRecords(state);
  assert.deepEqual(
    next.loadContainers().map(({ id }) => id),
    ['z', 'm'],
  );
  assert.equal(next.nextOrder(), 4);
});

test('a file that was being written counts for nothing, one of another form neither; both go', () => {
  const folder = join(state, 'containers');
  writeFileSync(join(folder, 'torn.json.new'), '{"format":1,"va');
  writeFileSync(join(folder, 'old.json'), '{"format":0,"value":{"id":"old"}}');
  const before = new GuestRecords(state).loadContainers().length;
  assert.equal(before, 2);
  assert.deepEqual(readdirSync(folder).sort(), ['m.json', 'z.json']);
});

test('sandbox and storages: saved, replaced, removed', () => {
  const records = new GuestRecords(state);
  assert.equal(records.loadSandbox(), undefined);
  assert.deepEqual(records.loadStorages(), []);
  const sandbox = {
    phase: 'made' as const,
    id: 'pod',
    hostname: 'pod',
    storages: ['/run/kata-containers/x'],
  };
  records.saveSandbox({ ...sandbox, phase: 'making' });
  records.saveSandbox(sandbox);
  assert.deepEqual(new GuestRecords(state).loadSandbox(), sandbox);
  records.removeSandbox();
  assert.equal(records.loadSandbox(), undefined);
  records.saveStorages([]);
  assert.deepEqual(readdirSync(state), ['containers']);
});
