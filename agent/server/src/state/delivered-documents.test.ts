import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Configuration } from '@kata-agent/config';
import { CannotApply } from '../cannot-apply.js';
import { persistDeliveredDocuments } from './delivered-documents.js';

let directory = '';
let file = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'delivered-'));
  file = join(directory, 'state/delivered.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

const base = { file: '/etc/kata-agent/config.toml', source: 'default path', sha256: 'b' };
const delivered = (sha256: string, source = 'fw_cfg', binding = 'none') => ({
  file: source,
  source,
  sha256,
  binding,
});

type Documents = Configuration['documents'];
function begin(documents: Documents, bootId = 'boot', initdata?: Configuration['initdata']): void {
  persistDeliveredDocuments({ documents, initdata } as Configuration, file, bootId);
}

const isMissing = (digest: string) => (error: unknown) =>
  error instanceof CannotApply && error.message.endsWith(`missing now: sha256:${digest}`);

test('a document that the host delivered must be delivered again in the same boot', () => {
  begin([base, delivered('1'), delivered('2')]);
  begin([base, delivered('2'), delivered('1')]);
  assert.throws(() => begin([base, delivered('1')]), isMissing('2'));
  assert.throws(() => begin([base, delivered('1'), delivered('3')]), isMissing('2'));
  assert.throws(() => begin([base]), isMissing('1, sha256:2'));
  begin([base, delivered('1'), delivered('2'), delivered('3')]);
  assert.throws(() => begin([base, delivered('1'), delivered('2')]), isMissing('3'));
  begin([base], 'next boot');
});

test('the base document and drop-ins may change: they are the files of the guest', () => {
  begin([base, delivered('d', 'drop_ins', 'own root')]);
  begin([{ ...base, sha256: 'other' }]);
  assert.equal(existsSync(file), false);
});

test('initdata counts if it has a document of this agent; its policy is kept elsewhere', () => {
  const envelope = [base, delivered('e', 'initdata')];
  const initdata = (name: string): Configuration['initdata'] => ({
    file: 'initdata',
    sha256: 'e',
    files: [{ name, outcome: 'applied' }],
  });
  begin(envelope, 'boot', initdata('policy.rego'));
  begin([base]);
  begin(envelope, 'boot', initdata('kata-agent.toml'));
  assert.throws(() => begin([base]), isMissing('e'));
});

test('a file that cannot be read stops the start', () => {
  begin([base, delivered('1')]);
  for (const text of [
    '',
    '{',
    '{}',
    '[]',
    'null',
    '{"bootId":1,"documents":[]}',
    '{"bootId":"","documents":[1]}',
  ]) {
    writeFileSync(file, text);
    assert.throws(() => begin([base, delivered('1')]), CannotApply, text);
  }
});
