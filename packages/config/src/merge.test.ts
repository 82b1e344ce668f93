import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ParsedDocument, parseDocument } from './document.js';
import { type Diagnostic, renderDiagnostic, settings } from './index.js';
import { type Merged, mergeSetting } from './merge.js';

function documents(texts: readonly string[]): readonly ParsedDocument[] {
  return texts.map((text, index) => {
    const outcome = parseDocument(Buffer.from(text), `${index}.toml`);
    assert.ok(outcome.ok, text);
    return outcome.document;
  });
}

/** What documents that say these things come to for a setting, and the errors. */
function merge(
  key: string,
  ...texts: string[]
): { readonly merged: Merged; readonly errors: readonly string[] } {
  const row = settings.find((row) => row.key === key);
  assert.ok(row !== undefined);
  const found: Diagnostic[] = [];
  const merged = mergeSetting(row, documents(texts), (diagnostic) => found.push(diagnostic));
  return { merged, errors: found.map((diagnostic) => renderDiagnostic(diagnostic)) };
}

function value(key: string, ...texts: string[]): unknown {
  const { merged, errors } = merge(key, ...texts);
  assert.deepEqual(errors, []);
  return merged.value;
}

test('without documents the default stands', () => {
  assert.deepEqual(merge('keep'), { merged: { value: 4, from: undefined, others: [] }, errors: [] });
});

test('limits: the lowest counts, and what the base leaves out counts with its default', () => {
  const limit = (n: number): string => `limits.connections = ${n}`;
  assert.equal(value('connections', limit(100)), 100);
  assert.equal(value('connections', limit(100), limit(80), limit(90)), 80);
  assert.equal(value('connections', '', limit(100)), 64);
  assert.equal(value('connections', '', limit(10)), 10);
  assert.deepEqual(merge('connections', limit(100), limit(80), limit(90)).merged.others, [
    { value: 100, source: '0.toml:1', reason: 'the lowest value counts' },
    { value: 90, source: '2.toml:1', reason: 'the lowest value counts' },
  ]);
  assert.equal(merge('connections', '', limit(10)).merged.others[0]?.source, 'default');
});

test('release: the earliest counts, by number and not by letter', () => {
  const release = (text: string): string => `api.release = "${text}"`;
  assert.equal(value('release', '', release('3.9')), '3.9');
  assert.equal(value('release', release('3.21'), release('3.9'), release('3.30')), '3.9');
  assert.equal(value('release', release('3.9'), ''), '3.9');
});

test('strict: one document is enough, and none takes it back', () => {
  assert.equal(value('strict', 'api.strict = false', 'api.strict = true', 'api.strict = false'), true);
  assert.equal(value('strict', 'api.strict = true', 'api.strict = false'), true);
  assert.equal(value('strict', '', ''), false);
});

test('lists stay beside each other', () => {
  const { merged } = merge(
    'allowed_endpoints',
    'api.allowed_endpoints = ["@pod"]',
    'api.allowed_endpoints = ["WaitProcess"]',
  );
  assert.deepEqual(merged.value, ['@pod']);
  assert.deepEqual(merged.others, [
    { value: ['WaitProcess'], source: '1.toml:1', reason: 'narrows this list further' },
  ]);
  const blocked = merge(
    'blocked_endpoints',
    'api.blocked_endpoints = []',
    'api.blocked_endpoints = ["@exec"]',
  );
  assert.equal(blocked.merged.others[0]?.reason, 'adds to this list');
});

test('what is for the base document alone is an error elsewhere, even with the same value', () => {
  const { merged, errors } = merge('keep', 'audit.keep = 4', '\naudit.keep = 4');
  assert.equal(merged.value, 4);
  assert.deepEqual(errors, [
    `1.toml:2:7: keep may stand in the base document alone
  audit.keep = 4
        ^^^^
help: remove it from this document`,
  ]);
  assert.equal(merge('hooks', '', 'agent.hooks = "refuse"').errors.length, 1);
});

test('other settings belong to the document that sets them first', () => {
  const level = (text: string): string => `agent.log_level = "${text}"`;
  assert.equal(value('log_level', '', level('debug'), level('debug')), 'debug');
  assert.deepEqual(merge('log_level', level('debug'), '', level('warn')).errors, [
    `2.toml:1:7: log_level has another value in 0.toml:1, which set it first
  agent.log_level = "warn"
        ^^^^^^^^^
help: remove one of the two`,
  ]);
});
