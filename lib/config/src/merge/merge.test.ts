import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocument } from '../parse/parse-document.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { type Diagnostic, renderDiagnostic, settings } from '../index.js';
import { type Merged, mergeSetting } from './merge.js';

async function documents(texts: readonly string[]): Promise<readonly ParsedDocument[]> {
  const parsed: ParsedDocument[] = [];
  for (const [index, text] of texts.entries()) {
    const outcome = await parseDocument(Buffer.from(text), `${index}.toml`, {
      role: index === 0 ? 'base' : 'later',
      rules: async () => ({ check: () => ({ faults: [], needsGuest: [] }), patternFault: () => undefined }),
    });
    assert.ok(outcome.ok, text);
    parsed.push(outcome.document);
  }
  return parsed;
}

/** Merges a setting of these documents; returns the result and the errors. */
async function merge(
  key: string,
  ...texts: string[]
): Promise<{ readonly merged: Merged; readonly errors: readonly string[] }> {
  const row = settings.find((row) => row.key === key);
  assert.ok(row !== undefined);
  const found: Diagnostic[] = [];
  const merged = mergeSetting(row, await documents(texts), (diagnostic) => found.push(diagnostic));
  return { merged, errors: found.map((diagnostic) => renderDiagnostic(diagnostic)) };
}

async function value(key: string, ...texts: string[]): Promise<unknown> {
  const { merged, errors } = await merge(key, ...texts);
  assert.deepEqual(errors, []);
  return merged.value;
}

test('without documents the default is used', async () => {
  assert.deepEqual(await merge('keep'), { merged: { value: 4, from: undefined, others: [] }, errors: [] });
});

test('limits: the lowest value wins, and the base counts with its default', async () => {
  const limit = (n: number): string => `limits.connections = ${n}`;
  assert.equal(await value('connections', limit(100)), 100);
  assert.equal(await value('connections', limit(100), limit(80), limit(90)), 80);
  assert.equal(await value('connections', '', limit(100)), 64);
  assert.equal(await value('connections', '', limit(10)), 10);
  assert.deepEqual((await merge('connections', limit(100), limit(80), limit(90))).merged.others, [
    { value: 100, source: '0.toml:1', reason: 'the lowest value counts' },
    { value: 90, source: '2.toml:1', reason: 'the lowest value counts' },
  ]);
  assert.equal((await merge('connections', '', limit(10))).merged.others[0]?.source, 'default');
});

test('release: the earliest wins, compared by numbers', async () => {
  const release = (text: string): string => `api.release = "${text}"`;
  assert.equal(await value('release', '', release('3.9')), '3.9');
  assert.equal(await value('release', release('3.21'), release('3.9'), release('3.30')), '3.9');
  assert.equal(await value('release', release('3.9'), ''), '3.9');
});

test('strict: one document is enough, and none revokes it', async () => {
  assert.equal(await value('strict', 'api.strict = false', 'api.strict = true', 'api.strict = false'), true);
  assert.equal(await value('strict', 'api.strict = true', 'api.strict = false'), true);
  assert.equal(await value('strict', '', ''), false);
});

test('lists are kept per document', async () => {
  const { merged } = await merge(
    'allowed_endpoints',
    'api.allowed_endpoints = ["@pod"]',
    'api.allowed_endpoints = ["WaitProcess"]',
  );
  assert.deepEqual(merged.value, ['@pod']);
  assert.deepEqual(merged.others, [
    { value: ['WaitProcess'], source: '1.toml:1', reason: 'narrows this list further' },
  ]);
  const blocked = await merge(
    'blocked_endpoints',
    'api.blocked_endpoints = []',
    'api.blocked_endpoints = ["@exec"]',
  );
  assert.equal(blocked.merged.others[0]?.reason, 'adds to this list');
});

test('a base-only setting is an error elsewhere, even with the same value', async () => {
  const { merged, errors } = await merge('keep', 'audit.keep = 4', '\naudit.keep = 4');
  assert.equal(merged.value, 4);
  assert.deepEqual(errors, [
    `1.toml:2:7: error[KA1709]: keep is allowed only in the base document
  audit.keep = 4
        ^^^^
help: remove it from this document`,
  ]);
  assert.equal((await merge('hooks', '', 'agent.hooks = "refuse"')).errors.length, 1);
});

test('other settings belong to the first document that sets them', async () => {
  const level = (text: string): string => `agent.log_level = "${text}"`;
  assert.equal(await value('log_level', '', level('debug'), level('debug')), 'debug');
  assert.deepEqual((await merge('log_level', level('debug'), '', level('warn'))).errors, [
    `2.toml:1:7: error[KA1710]: log_level has another value in 0.toml:1, which set it first
  agent.log_level = "warn"
        ^^^^^^^^^
help: remove one of the two`,
  ]);
});
