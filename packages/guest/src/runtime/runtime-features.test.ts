import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownFlaws, parseFeatures } from './runtime-features.js';

test('flaws by version, per release line', () => {
  const count = (version: string): number => knownFlaws(version).length;
  assert.deepEqual(
    [
      '1.1.15+ds1',
      '1.2.7',
      '1.2.8',
      '1.3.2',
      '1.3.3',
      '1.3.6',
      '1.4.0',
      '1.4.2',
      '1.4.3',
      '1.5.0',
      '2.0.0',
    ].map(count),
    [2, 2, 1, 2, 1, 0, 1, 1, 0, 0, 0],
  );
  assert.equal(count(''), 0);
});

test('features', () => {
  const text = JSON.stringify({
    linux: { seccomp: { enabled: true } },
    annotations: { 'org.opencontainers.runc.version': '1.3.6' },
  });
  assert.deepEqual(parseFeatures(text), { version: '1.3.6', seccomp: true });
  assert.deepEqual(parseFeatures('{}'), { version: '', seccomp: false });
});
